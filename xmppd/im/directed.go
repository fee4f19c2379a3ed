package im

import (
	"context"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// directed sends presence to somebody whatever the rosters say (RFC 6121 section 4.6).
func (s *Service) directed(ctx context.Context, src *session.Session, st *stanza.Stanza, to stanza.JID, available bool, b *mail) {
	p := restamp(st, src.Full, "")
	switch {
	case to.Local == "" && s.isLocal(to):
		return // presence to the server itself means nothing to it
	case available && s.policy.Load().NoDirected:
		s.counts.DirectedRefused.Add(1)
		s.router.Bounce(src, st, b.Batch, "modify", "policy-violation", "this server takes no directed presence")
		return
	case !src.NoteDirected(to.String(), available, s.shown(src, to, p), s.limits.Directed):
		s.counts.DirectedRefused.Add(1)
		s.router.Bounce(src, st, b.Batch, "wait", "resource-constraint", "presence is directed to too many already")
		return
	}
	if !available {
		s.undirect(ctx, to, p, b)
		return
	}
	s.sendDirected(ctx, to, p, b)
}

// undirect takes directed presence back. Other servers are told also where the session that it was directed to is here: it may
// be about to move to one of them, at which what showAgain has told waits still.
func (s *Service) undirect(ctx context.Context, to stanza.JID, p []byte, b *mail) {
	if s.sendDirected(ctx, to, p, b) && !s.faults.TakeHere {
		s.tell(Op{Kind: OpDirect, A: to.String(), Raw: addressed(p, to.String())})
	}
}

// maxShown bounds what is kept of directed presence, in bytes.
const maxShown = 1 << 10

// shown is what is kept of directed presence, to be sent again to a server that was cut off.
func (s *Service) shown(src *session.Session, to stanza.JID, p []byte) []byte {
	switch {
	case s.others == nil || !s.isLocal(to):
		return nil
	case len(p) > maxShown:
		return plainPresence(src.Full, "", "")
	}
	return p
}

// showAgain sends a server, which was cut off, directed presence of a session.
func (s *Service) showAgain(own *session.Session, server string) {
	own.EachDirected(func(to string, p []byte) {
		switch {
		case len(p) == 0:
		case strings.IndexByte(to, '/') < 0:
			s.others.Tell(server, &Op{Kind: OpCast, A: directedMark, Raw: p, List: []string{to}})
		default:
			s.others.Tell(server, &Op{Kind: OpDirect, A: to, Raw: addressed(p, to)})
		}
	})
}

// directedMark in an OpCast tells that the presence is directed to an account, whatever the rosters say.
const directedMark = "directed"

// sendDirected sends presence, which has no "to" yet, to an address, and reports whether that is a session which is here alone: no other server
// was told.
func (s *Service) sendDirected(ctx context.Context, to stanza.JID, p []byte, b *mail) (here bool) {
	switch {
	case to.Resource == "" && s.isLocal(to):
		s.tell(Op{Kind: OpCast, A: directedMark, Raw: p, List: []string{to.String()}})
		s.presenceHere(ctx, to.String(), p, b)
	case to.Resource == "":
		s.presenceTo(ctx, to.String(), p, b)
	case !s.isLocal(to):
		b.away = append(b.away, addressed(p, to.String()))
	default:
		dst := s.table.Get(to.String())
		if dst != nil {
			at := nameEnd(p)
			b.Send(dst, p[:at], stanza.AppendAttr(nil, "to", to.String()), p[at:], nil)
		}
		// What comes for one that moves by this server is dropped at the next one, which may have asked for it already.
		if here = dst != nil && (!dst.Moving() || s.faults.ShowHere); !here {
			s.tell(Op{Kind: OpDirect, A: to.String(), Raw: addressed(p, to.String())})
		}
	}
	return here
}

// MaySee tells whether somebody gets the presence of an account (bare JIDs).
func (s *Service) MaySee(ctx context.Context, owner, peer stanza.JID) (bool, error) {
	if owner == peer || s.isShared(owner, peer) {
		return true, nil
	}
	it, err := s.store.Item(ctx, owner.Local, peer.String())
	return it.From(), err
}
