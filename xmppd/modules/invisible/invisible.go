// Package invisible lets a client hide its presence and show it again (XEP-0186, version 0.14.0).
// What that means for presence is package im's business.
package invisible

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// NS is the namespace of both commands.
const NS = "urn:xmpp:invisible:1"

// Presence hides and shows sessions.
type Presence interface {
	// Hide makes a session invisible; with probe it is told the presence of its contacts.
	Hide(ctx context.Context, s *session.Session, probe bool, b *session.Batch)
	// Show makes it visible: it is then as before its first presence.
	Show(s *session.Session)
}

// Module takes the commands.
type Module struct{ Presence Presence }

// Info implements module.Module.
func (Module) Info() module.Info {
	return module.Info{Name: "invisible", Spec: "XEP-0186", Version: "0.14.0", Title: "Invisible Command"}
}

// Features implements module.Module.
func (Module) Features() []string { return []string{NS} }

// Routes implements module.Module.
func (m Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToAccount, Handle: m.handle}}
}

func (m Module) handle(ctx context.Context, iq *module.IQ) ([]byte, error) {
	switch {
	case !iq.Own():
		return nil, module.Forbidden("only one's own session can be hidden")
	case !iq.Set:
		return nil, module.BadRequest("being invisible is set, not asked for")
	}
	switch iq.Name() {
	case "invisible":
		probe := probes(iq)
		iq.After = func(b *session.Batch) { m.Presence.Hide(ctx, iq.Src, probe, b) }
	case "visible":
		m.Presence.Show(iq.Src)
	default:
		return nil, module.BadRequest("this is neither invisible nor visible")
	}
	return nil, nil
}

// probes reads the attribute that asks for the presence of contacts; it is an XML boolean.
func probes(iq *module.IQ) bool {
	p := stanza.Parse(iq.Payload())
	p.Next()
	v, _ := p.Attr("probe")
	return string(v) == "true" || string(v) == "1"
}
