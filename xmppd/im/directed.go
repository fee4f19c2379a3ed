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
		} else if s.others != nil {
			s.tell(Op{Kind: OpDirect, A: to.String(), Raw: addressed(p, to.String())})
		}
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
