package im

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Blocked takes back the presence of an account's sessions from contacts that the account has just
// blocked, and from those of the others that got it directed (XEP-0191 section 3).
func (s *Service) Blocked(ctx context.Context, owner stanza.JID, others []stanza.JID) error {
	b := newMail()
	err := s.blockedHere(ctx, owner, others, b)
	s.post(ctx, b)
	s.tell(Op{Kind: OpBlock, A: owner.String(), List: addresses(others)})
	return err
}

func (s *Service) blockedHere(ctx context.Context, owner stanza.JID, others []stanza.JID, b *mail) error {
	contacts, err := s.concerned(ctx, owner, others)
	if err != nil {
		return err
	}
	for _, own := range s.parting(owner) {
		s.takeBackFrom(ctx, own, contacts, others, b)
	}
	for _, c := range contacts {
		if c.from && c.to.Resource == "" {
			s.outOfSight(ctx, owner, c.to, nil, b)
		}
	}
	return nil
}

// addresses are JIDs as text.
func addresses(list []stanza.JID) (out []string) {
	for _, j := range list {
		out = append(out, j.String())
	}
	return out
}

func (s *Service) takeBackFrom(ctx context.Context, own *session.Session, contacts []relation, others []stanza.JID, b *mail) {
	own.Order.Lock() // what it sends later knows of the block
	defer own.Order.Unlock()
	p := plainPresence(own.Full, "", "unavailable")
	seen := own.Presence() != nil
	for _, c := range contacts {
		if seen && c.from {
			s.sendDirected(ctx, c.to, p, b)
		}
	}
	for _, to := range others {
		if own.Directed(to.String()) {
			own.NoteDirected(to.String(), false, nil, s.limits.Directed)
			s.undirect(ctx, to, p, b)
		}
	}
}

// Unblocked sends contacts that the account has just unblocked the presence of its sessions, and
// these the presence of the contacts.
func (s *Service) Unblocked(ctx context.Context, owner stanza.JID, others []stanza.JID) error {
	b := newMail()
	err := s.unblockedHere(ctx, owner, others, b)
	s.post(ctx, b)
	s.tell(Op{Kind: OpUnblock, A: owner.String(), List: addresses(others)})
	return err
}

func (s *Service) unblockedHere(ctx context.Context, owner stanza.JID, others []stanza.JID, b *mail) error {
	contacts, err := s.concerned(ctx, owner, others)
	if err != nil {
		return err
	}
	sessions := s.table.User(owner.String()).Sessions()
	for _, c := range contacts {
		if s.apart(ctx, owner.String(), c.to.Bare().String()) {
			continue // there is another reason still
		}
		for _, own := range sessions {
			if c.from {
				own.Order.Lock()
				s.current(own, func(p []byte) { s.sendDirected(ctx, c.to, p, b) })
				own.Order.Unlock()
			}
			if c.subscribed && own.Available() {
				s.bring(own, c.to.Bare(), b)
			}
		}
	}
	return nil
}

// bring sends a session the presence of a contact.
func (s *Service) bring(own *session.Session, contact stanza.JID, b *mail) {
	if !s.isLocal(contact) {
		b.away = append(b.away, plainPresence(own.Full, contact.String(), "probe"))
		return
	}
	to := stanza.AppendAttr(nil, "to", own.Full)
	for _, from := range s.table.User(contact.String()).Sessions() {
		s.current(from, func(p []byte) {
			at := nameEnd(p)
			b.Send(own, p[:at], to, p[at:], nil)
		})
	}
	s.tell(Op{Kind: OpProbe, A: own.Full, List: []string{contact.String()}})
}

// blockedBetween reports whether presence must not reach a session because one of the two sides has
// blocked the very session of the other: contacts that are blocked altogether have been left out.
func (s *Service) blockedBetween(ctx context.Context, p []byte, dst *session.Session) bool {
	st, err := stanza.One(p)
	if err != nil {
		return false
	}
	from, err := stanza.ParseJID(st.AttrString(st.From))
	if err != nil {
		return false
	}
	return s.router.Blocked(ctx, dst.JID.Bare(), from) || s.isLocal(from) && s.router.Blocked(ctx, from.Bare(), dst.JID)
}

// relation is a contact, or a session of one, that a change of the block list is about.
type relation struct {
	to               stanza.JID
	from, subscribed bool // has the owner's presence; has given the owner its own
}

// concerned finds the contacts that the addresses on a block list are about, and drops what is
// loaded of their rosters and the owner's: it depends on the list.
func (s *Service) concerned(ctx context.Context, owner stanza.JID, others []stanza.JID) (found []relation, err error) {
	items, err := s.store.Roster(ctx, owner.Local)
	if err != nil {
		return nil, err
	}
	blocked := make(map[stanza.JID]struct{}, len(others))
	sessions := make(map[stanza.JID][]stanza.JID) // by bare JID
	for _, j := range others {
		blocked[j] = struct{}{}
		if j.Resource != "" {
			sessions[j.Bare()] = append(sessions[j.Bare()], j)
		}
	}
	s.forget(owner.String())
	for i := range items {
		it := &items[i]
		contact, err := stanza.ParseJID(it.Contact)
		if err != nil {
			continue // told when the roster is loaded
		}
		_, whole := blocked[contact]
		_, domain := blocked[stanza.JID{Domain: contact.Domain}]
		if whole || domain {
			s.forget(it.Contact)
			found = append(found, relation{contact, it.From(), it.To()})
			continue
		}
		for _, full := range sessions[contact] {
			found = append(found, relation{full, it.From(), it.To()})
		}
	}
	return found, nil
}
