// Package bind answers clients that ask for a resource when they have one, and those that open a
// session the way RFC 3921 wanted it. Binding itself is part of the negotiation of a stream.
package bind

import (
	"context"

	"github.com/rosterdb/rosterdb/xmppd/module"
)

const (
	nsBind    = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSession = "urn:ietf:params:xml:ns:xmpp-session"
)

// Module answers what comes too late.
type Module struct{}

// Info implements module.Module.
func (Module) Info() module.Info {
	return module.Info{Name: "bind", Spec: "RFC 6120", Version: "section 7", Title: "Resource Binding"}
}

// Features implements module.Module.
func (Module) Features() []string { return nil }

// Routes implements module.Module.
func (Module) Routes() []module.Route {
	return []module.Route{
		{NS: nsBind, Scope: module.ToServer | module.ToAccount, Fast: true, Handle: again},
		{NS: nsSession, Scope: module.ToServer | module.ToAccount, Fast: true, Handle: session},
	}
}

// again refuses a second resource: a stream has one (RFC 6120 section 7.6.2.2).
func again(_ context.Context, iq *module.IQ) ([]byte, error) {
	return nil, module.NotAllowed("this stream is bound to " + iq.From.String())
}

// session does nothing: there is one since binding (RFC 6121 appendix E). Older clients insist.
func session(_ context.Context, iq *module.IQ) ([]byte, error) {
	if !iq.Set || iq.Name() != "session" {
		return nil, module.BadRequest("a session is asked for by a set")
	}
	return nil, nil
}
