package im

import (
	"context"
	"maps"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// What is shown to a contact is taken back by whoever ends the subscription (RFC 6121 sections 3.2.2 and 3.3.3) or the session
// (section 4.5). Where both happen at once the session may be off the table, and the contact not among the
// subscribers that are told of its end. So the first looks at the sessions that leave, too, under the lock of the roster
// (takeBack). In a cluster no lock covers that: each server remembers of the sessions in sight who is not subscribed to them any more and not
// told that they are gone, which their server does, and does so itself when they end without that.

// change locks two rosters, as lock does, for a change of what they say of one another.
func (s *Service) change(a, b stanza.JID, m *mail) (unlock func()) {
	unlock = s.lock(a, b)
	m.before = nil
	if s.others != nil && !s.faults.SightLate {
		m.before = s.sights.shown(s.sights.shown(nil, a.Bare().String()), b.Bare().String())
	}
	return unlock
}

// endPresence tells somebody who is no subscriber any more that an account's sessions are gone.
func (s *Service) endPresence(ctx context.Context, owner, peer stanza.JID, b *mail) {
	var before []string // of the account: it may have heard since that they have ended, which nobody has told the contact
	for _, full := range b.before {
		if bareOf(full) == owner.String() {
			before = append(before, full)
		}
	}
	s.endHere(ctx, owner, peer, before, b)
	s.tell(Op{Kind: OpEnd, A: owner.String(), B: peer.String(), List: before})
}

func (s *Service) endHere(ctx context.Context, owner, peer stanza.JID, before []string, b *mail) {
	for _, src := range s.parting(owner) {
		if src.Presence() != nil {
			s.goneFor(ctx, src.Full, peer.String(), b)
		}
	}
	s.outOfSight(ctx, owner, peer, before, b)
}

// outOfSight sees to it that the sessions which a contact has here hear the end of those that an account has at other servers. Those that were in sight
// before and are not any more have ended meanwhile.
func (s *Service) outOfSight(ctx context.Context, owner, peer stanza.JID, before []string, b *mail) {
	if s.faults.OnListed || len(s.table.User(peer.String()).Sessions()) == 0 {
		return
	}
	s.sights.part(owner.String(), peer.String())
	for _, full := range before {
		if !s.sights.has(full) && s.table.Get(full) == nil {
			s.presenceHere(ctx, peer.String(), plainPresence(full, "", "unavailable"), b)
		}
	}
}

// partedHear tells those that a session of another server has ended of which they have not heard since their subscription did.
func (s *Service) partedHear(ctx context.Context, full string, x *sight, told []string, b *mail) {
	for _, contact := range slices.Sorted(maps.Keys(x.parted)) {
		if !slices.Contains(told, contact) {
			s.presenceHere(ctx, contact, plainPresence(full, "", "unavailable"), b)
		}
	}
}

// parting are the sessions of an account that may show their presence, with those that are off the table and have not taken it back.
func (s *Service) parting(owner stanza.JID) []*session.Session {
	u := s.table.User(owner.String())
	if s.faults.OnListed {
		return u.Sessions()
	}
	return u.All()
}

// goneFor tells one contact that a session is gone. Others may see it still.
func (s *Service) goneFor(ctx context.Context, full, contact string, b *mail) {
	p := plainPresence(full, "", "unavailable")
	if s.faults.PartAll || !s.ofDomain(contact) {
		s.presenceTo(ctx, contact, p, b)
		return
	}
	s.tell(Op{Kind: OpCast, A: directedMark, Raw: p, List: []string{contact}})
	s.presenceHere(ctx, contact, p, b)
}
