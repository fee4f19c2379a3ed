package router

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// validIQ reports whether an IQ has the id and type that RFC 6120 section 8.2.3 demands. Other
// stanzas are always valid here.
func validIQ(st *stanza.Stanza) bool {
	if st.Kind != stanza.IQ {
		return true
	}
	if !st.ID.Present() {
		return false
	}
	switch string(st.Get(st.Type.Value)) {
	case "get", "set":
		return st.Child.End != 0
	case "result", "error":
		return true
	}
	return false
}

func isRequest(st *stanza.Stanza) bool {
	t := st.Get(st.Type.Value)
	return string(t) == "get" || string(t) == "set"
}

// iq answers an IQ for the server or an account, and bounces one for a full JID that is not here.
func (r *Router) iq(ctx context.Context, src *session.Session, st *stanza.Stanza, to stanza.JID, b *session.Batch) {
	switch {
	case !validIQ(st):
		r.Bounce(src, st, b, "modify", "bad-request", "an iq needs an id, a type, and a payload if it is a request")
	case !r.Local(to):
		r.Bounce(src, st, b, "cancel", "remote-server-not-found", "this server does not talk to other domains")
	case to.Local != "" && to.Resource != "":
		dst := r.table.Get(to.String())
		if dst == nil || !r.forward(src, st, dst, b) {
			r.undelivered(src, st, b)
		}
	case !isRequest(st):
		// Nothing here waits for a result.
	default:
		r.answer(ctx, src, st, to.Bare(), b)
	}
}

func (r *Router) answer(ctx context.Context, src *session.Session, st *stanza.Stanza, target stanza.JID, b *session.Batch) {
	scope := module.ToServer
	if target.Local != "" {
		scope = module.ToAccount
	}
	route, ok := r.routes[string(st.Get(st.ChildNS))]
	if !ok || route.Scope&scope == 0 {
		r.undelivered(src, st, b)
		return
	}
	if !route.Fast {
		b.Flush()
	}
	iq := &module.IQ{From: src.JID, Target: target, Set: string(st.Get(st.Type.Value)) == "set", Stanza: st}
	payload, err := route.Handle(ctx, iq)
	if err == nil {
		r.counts.Answered.Add(1)
		b.Send(src, stanza.AppendIQResult(nil, st, payload), nil, nil, nil)
		return
	}
	var se *module.Error
	if !errors.As(err, &se) {
		r.log.Error("request failed", "payload", route.NS, "from", src.Full, "error", err)
		se = &module.Error{Type: "wait", Condition: "internal-server-error"}
	}
	r.Bounce(src, st, b, se.Type, se.Condition, se.Text)
}
