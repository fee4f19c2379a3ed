package im

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// Inbound implements router.Presence: presence for an account of the domain that comes from another
// domain (RFC 6121 sections 3.1.3, 4.3.2 and 4.6.4).
func (s *Service) Inbound(ctx context.Context, p *module.Passage) {
	owner := p.To.Bare()
	if owner.Local == "" || s.router.Blocked(ctx, owner, p.From) {
		return
	}
	switch typ := string(p.Stanza.Get(p.Stanza.Type.Value)); typ {
	case "", "unavailable":
		s.sendDirected(p.To, restamp(p.Stanza, p.From.String(), ""), p.Batch)
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		peer := p.From.Bare()
		s.change.Lock()
		defer s.change.Unlock()
		s.receive(ctx, owner, peer, verb(typ), restamp(p.Stanza, peer.String(), owner.String()), p.Batch)
	case "probe":
		s.probeFrom(ctx, owner, p)
	case "error":
		s.router.Deliver(p.To, p.Bytes(), p.Batch)
	}
}

// probeFrom answers a probe of another domain with the presence of an account's sessions.
func (s *Service) probeFrom(ctx context.Context, owner stanza.JID, p *module.Passage) {
	peer := p.From.Bare()
	it, err := s.store.Item(ctx, owner.Local, peer.String())
	if err != nil {
		s.log.Error("probe not answered", "to", owner, "error", err)
		return
	}
	answer := func(raw []byte) {
		if err := s.router.Inject(ctx, raw, p.Batch); err != nil {
			s.log.Debug("answer to a probe not delivered", "to", p.From, "error", err)
		}
	}
	if !it.From() {
		answer(plainPresence(owner.String(), p.From.String(), string(unsubscribed)))
		return
	}
	u := s.table.User(owner.String())
	if u == nil {
		return
	}
	for _, from := range u.Sessions() {
		if raw := from.Presence(); raw != nil {
			at := nameEnd(raw)
			out := stanza.AppendAttr(append([]byte(nil), raw[:at]...), "to", p.From.String())
			answer(append(out, raw[at:]...))
		}
	}
}
