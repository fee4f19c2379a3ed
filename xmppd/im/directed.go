package im

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// directed sends presence to somebody whatever the rosters say (RFC 6121 section 4.6).
func (s *Service) directed(ctx context.Context, src *session.Session, st *stanza.Stanza, to stanza.JID, available bool, b *mail) {
	switch {
	case to.Local == "" && s.isLocal(to):
		return // presence to the server itself means nothing to it
	case available && s.policy.Load().NoDirected:
		s.counts.DirectedRefused.Add(1)
		s.router.Bounce(src, st, b.Batch, "modify", "policy-violation", "this server takes no directed presence")
		return
	case !src.NoteDirected(to.String(), available, s.limits.Directed):
		s.counts.DirectedRefused.Add(1)
		s.router.Bounce(src, st, b.Batch, "wait", "resource-constraint", "presence is directed to too many already")
		return
	}
	s.sendDirected(ctx, to, restamp(st, src.Full, ""), b)
}

func (s *Service) sendDirected(ctx context.Context, to stanza.JID, p []byte, b *mail) {
	switch {
	case to.Resource == "":
		s.presenceTo(ctx, to.String(), p, b)
	case !s.isLocal(to):
		b.away = append(b.away, addressed(p, to.String()))
	default:
		if dst := s.table.Get(to.String()); dst != nil {
			at := nameEnd(p)
			b.Send(dst, p[:at], stanza.AppendAttr(nil, "to", to.String()), p[at:], nil)
		}
	}
}

// probe answers a probe of somebody, here or elsewhere, for an account or a session (RFC 6121
// sections 4.3.2 and 4.6.6).
func (s *Service) probe(ctx context.Context, from, to stanza.JID, b *mail) {
	answer := func(p []byte) { s.sendDirected(ctx, from, p, b) }
	owner, peer := to.Bare(), from.Bare()
	if to.Resource != "" {
		src := s.table.Get(to.String())
		if src != nil && (src.Directed(from.String()) || src.Directed(peer.String())) {
			answer(plainPresence(src.Full, "", "")) // that it is there, and no more
			return
		}
	}
	unlock := s.lock(owner, peer) // or an end of the subscription could be overtaken
	defer unlock()
	it, err := s.store.Item(ctx, owner.Local, peer.String())
	if err != nil {
		s.log.Error("probe not answered", "to", owner, "error", err)
		return
	}
	if owner != peer && !it.From() && !s.isShared(owner, peer) {
		answer(plainPresence(owner.String(), "", string(unsubscribed)))
		return
	}
	seen := false
	for _, own := range s.table.User(owner.String()).Sessions() {
		if to.Resource == "" || to == own.JID {
			seen = seen || own.Presence() != nil
			s.current(own, answer)
		}
	}
	if !seen {
		answer(plainPresence(to.String(), "", "unavailable"))
	}
}

// MaySee tells whether somebody gets the presence of an account (bare JIDs).
func (s *Service) MaySee(ctx context.Context, owner, peer stanza.JID) (bool, error) {
	if owner == peer || s.isShared(owner, peer) {
		return true, nil
	}
	it, err := s.store.Item(ctx, owner.Local, peer.String())
	return it.From(), err
}
