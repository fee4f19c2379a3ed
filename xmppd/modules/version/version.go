// Package version tells name and version of the server's software (XEP-0092, version 1.1). It does
// not tell the operating system.
package version

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// NS is the namespace of the payload.
const NS = "jabber:iq:version"

// Module answers version queries to the server.
type Module struct {
	Name, Version string
}

// Info implements module.Module.
func (Module) Info() module.Info {
	return module.Info{Name: "version", Spec: "XEP-0092", Version: "1.1", Title: "Software Version"}
}

// Features implements module.Module.
func (Module) Features() []string { return []string{NS} }

// Routes implements module.Module.
func (m Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToServer, Fast: true, Public: true, Handle: m.handle}}
}

func (m Module) handle(_ context.Context, iq *module.IQ) ([]byte, error) {
	if iq.Set {
		return nil, module.BadRequest("the version can't be set")
	}
	out := []byte("<query xmlns='" + NS + "'><name>")
	out = stanza.AppendEscaped(out, m.Name)
	out = append(out, "</name><version>"...)
	out = stanza.AppendEscaped(out, m.Version)
	return append(out, "</version></query>"...), nil
}
