// Package ping answers XMPP pings (XEP-0199, version 2.0.1) to the server and to accounts.
package ping

import (
	"context"

	"github.com/rosterdb/rosterdb/xmppd/module"
)

// NS is the namespace of the payload.
const NS = "urn:xmpp:ping"

// Module answers pings.
type Module struct{}

// Info implements module.Module.
func (Module) Info() module.Info {
	return module.Info{Name: "ping", Spec: "XEP-0199", Version: "2.0.1", Title: "XMPP Ping"}
}

// Features implements module.Module.
func (Module) Features() []string { return []string{NS} }

// Routes implements module.Module.
func (Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToServer | module.ToAccount, Fast: true, Public: true, Handle: handle}}
}

func handle(_ context.Context, iq *module.IQ) ([]byte, error) {
	if iq.Set {
		return nil, module.BadRequest("a ping is a get")
	}
	if !iq.Own() && iq.Target.Local != "" {
		return nil, module.Unavailable() // don't tell strangers which accounts exist
	}
	return nil, nil
}
