// Package contact tells whom to write to about the server (XEP-0157, version 1.1.1): a form in its
// service discovery answer.
package contact

import (
	"fmt"
	"net/url"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// Config is the module's part of the configuration: URIs such as mailto:abuse@example.net and
// xmpp:admin@example.net. Without any there is no form.
type Config struct {
	Abuse    []string `toml:"abuse"`
	Admin    []string `toml:"admin"`
	Feedback []string `toml:"feedback"`
	Sales    []string `toml:"sales"`
	Security []string `toml:"security"`
	Status   []string `toml:"status"`
	Support  []string `toml:"support"`
}

// roles are the fields of the form, in the order of their names.
func (c *Config) roles() []struct {
	name string
	uris []string
} {
	return []struct {
		name string
		uris []string
	}{
		{"abuse", c.Abuse},
		{"admin", c.Admin},
		{"feedback", c.Feedback},
		{"sales", c.Sales},
		{"security", c.Security},
		{"status", c.Status},
		{"support", c.Support},
	}
}

// Check reports an address that is no URI.
func (c *Config) Check() error {
	for _, r := range c.roles() {
		for _, uri := range r.uris {
			if u, err := url.Parse(uri); err != nil || u.Scheme == "" {
				return fmt.Errorf("%s: %q is no URI; write mailto:%s or xmpp:%s", r.name, uri, uri, uri)
			}
		}
	}
	return nil
}

// Module adds the form.
type Module struct{ Config Config }

// Info implements module.Module.
func (Module) Info() module.Info {
	return module.Info{Name: "contact", Spec: "XEP-0157", Version: "1.1.1", Title: "Contact Addresses for XMPP Services"}
}

// Features implements module.Module.
func (Module) Features() []string { return nil }

// Routes implements module.Module.
func (Module) Routes() []module.Route { return nil }

// Extend implements module.Extender.
func (m Module) Extend(e *module.Extension) {
	form := []byte("<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>")
	some := false
	for _, r := range m.Config.roles() {
		if len(r.uris) == 0 {
			continue
		}
		some = true
		form = append(form, "<field var='"+r.name+"-addresses' type='list-multi'>"...)
		for _, uri := range r.uris {
			form = append(stanza.AppendEscaped(append(form, "<value>"...), uri), "</value>"...)
		}
		form = append(form, "</field>"...)
	}
	if some {
		e.Forms = []string{string(append(form, "</x>"...))}
	}
}
