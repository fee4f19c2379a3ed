// Package time tells the server's time (XEP-0202, version 2.0).
package time

import (
	"context"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/module"
)

// NS is the namespace of the payload.
const NS = "urn:xmpp:time"

// Module answers questions for the time. It tells nothing of where the server is: its zone is UTC.
type Module struct {
	Now func() time.Time // nil: time.Now
}

// Info implements module.Module.
func (Module) Info() module.Info {
	return module.Info{Name: "time", Spec: "XEP-0202", Version: "2.0", Title: "Entity Time"}
}

// Features implements module.Module.
func (Module) Features() []string { return []string{NS} }

// Routes implements module.Module.
func (m Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToServer, Fast: true, Public: true, Handle: m.handle}}
}

func (m Module) handle(_ context.Context, iq *module.IQ) ([]byte, error) {
	if iq.Set {
		return nil, module.BadRequest("the time can't be set")
	}
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	utc := now().UTC().Format("2006-01-02T15:04:05Z") // XEP-0082
	return []byte("<time xmlns='" + NS + "'><tzo>+00:00</tzo><utc>" + utc + "</utc></time>"), nil
}
