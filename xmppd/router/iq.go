package router

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// validIQ reports whether an IQ has the id, the type and the number of payloads that RFC 6120
// section 8.2.3 demands. Other stanzas are always valid here.
func validIQ(st *stanza.Stanza) bool {
	if st.Kind != stanza.IQ {
		return true
	}
	if !st.ID.Present() {
		return false
	}
	switch string(st.Get(st.Type.Value)) {
	case "get", "set":
		return st.Children == 1
	case "result":
		return st.Children <= 1
	case "error":
		return true
	}
	return false
}

func isRequest(st *stanza.Stanza) bool {
	t := st.Get(st.Type.Value)
	return string(t) == "get" || string(t) == "set"
}

// iq answers an IQ for the server or an account, and forwards one for a full JID that is here.
func (r *Router) iq(ctx context.Context, p *module.Passage) error {
	switch {
	case !validIQ(p.Stanza):
		return module.BadRequest("an iq needs an id, a type, and just one payload if it is a request")
	case p.To.Local != "" && r.Blocked(ctx, p.To.Bare(), p.From):
		return nobody() // XEP-0191 section 3
	case p.To.Local != "" && p.To.Resource != "":
		if dst := r.table.Get(p.To.String()); dst != nil {
			switch r.send(p, dst) {
			case session.Took:
				return nil
			case session.Busy:
				return busy()
			}
		}
		return nobody()
	case !isRequest(p.Stanza) || p.Src == nil:
		return nil // nothing here waits for a result
	}
	return r.answer(ctx, p)
}

func (r *Router) answer(ctx context.Context, p *module.Passage) error {
	target, scope, st := p.To.Bare(), module.ToServer, p.Stanza
	if target.Local != "" {
		scope = module.ToAccount
	}
	route, ok := r.routes[string(st.Get(st.ChildNS))]
	if !ok || route.Scope&scope == 0 || !route.Public && !r.Local(p.From) {
		return nobody()
	}
	if !route.Fast {
		p.Batch.Block()
	}
	iq := &module.IQ{Src: p.Src, Batch: p.Batch, From: p.From, Target: target, Set: string(st.Get(st.Type.Value)) == "set", Stanza: st}
	payload, err := route.Handle(ctx, iq)
	if err != nil {
		return err
	}
	r.counts.Answered.Add(1)
	p.Batch.Send(p.Src, stanza.AppendIQResult(nil, st, payload), nil, nil, nil)
	if iq.After != nil {
		iq.After(p.Batch)
	}
	return nil
}
