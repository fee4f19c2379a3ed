package im

import (
	"context"
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// maxRequest bounds what is kept of a subscription request, in bytes.
const maxRequest = 4 << 10

// manage handles the four verbs of RFC 6121 section 3 when a client sends them.
func (s *Service) manage(ctx context.Context, src *session.Session, st *stanza.Stanza, contact stanza.JID, v verb, b *mail) {
	owner := src.JID.Bare()
	switch {
	case contact == owner:
		return // everybody has one's own presence
	case contact.Local == "" && s.isLocal(contact):
		s.router.Bounce(src, st, b.Batch, "cancel", "service-unavailable", "the server has no presence")
		return
	case s.isShared(owner, contact):
		if v == subscribe { // has been granted already
			b.Send(src, plainPresence(contact.String(), owner.String(), string(subscribed)), nil, nil, nil)
		}
		return
	}
	unlock := s.change(owner, contact, b)
	defer unlock()
	if (v == subscribe || v == subscribed) && !s.roomFor(ctx, owner, contact, s.limits.RosterItems) {
		s.counts.RosterFull.Add(1)
		s.router.Bounce(src, st, b.Batch, "wait", "resource-constraint", "the roster is full")
		return
	}
	if err := s.subscription(ctx, owner, contact, v, restamp(st, owner.String(), contact.String()), b); err != nil {
		s.log.Error("subscription not changed", "from", owner, "to", contact, "type", v, "error", err)
		s.router.Bounce(src, st, b.Batch, "wait", "internal-server-error", "")
	}
}

// roomFor reports whether an account may have an item for a contact: it has one, or less than limit.
func (s *Service) roomFor(ctx context.Context, owner, contact stanza.JID, limit int) bool {
	it, err := s.store.Item(ctx, owner.Local, contact.String())
	if err != nil || !it.Empty() {
		return true // what is broken shows when the item is written
	}
	items, err := s.store.Roster(ctx, owner.Local)
	return err != nil || len(items) < limit
}

// subscription carries a verb from an account of this domain to a contact: first the sender's side,
// then the contact's, wherever that is. raw is the stanza with bare addresses. The locks of both
// must be held.
func (s *Service) subscription(ctx context.Context, owner, contact stanza.JID, v verb, raw []byte, b *mail) error {
	o, now, err := s.apply(ctx, owner, contact, func(it *account.Item) outcome { return outbound(it, v) })
	if err != nil {
		return err
	}
	if o.stop {
		s.endPresence(ctx, owner, contact, b) // section 3.2.2: while it is still subscribed
	}
	// What the contact's server does at once can change the item again: push first.
	if o.push {
		s.pushItem(ctx, owner, o.step, &now, b)
	}
	if o.pass && !s.faults.OneSided {
		s.toContact(ctx, owner, contact, v, raw, b)
	}
	if o.start {
		s.startPresence(ctx, owner, contact, b)
	}
	return nil
}

// toContact hands a verb to the contact's side.
func (s *Service) toContact(ctx context.Context, owner, contact stanza.JID, v verb, raw []byte, b *mail) {
	if raw == nil || len(raw) > maxRequest {
		raw = plainPresence(owner.String(), contact.String(), string(v))
	}
	if !s.isLocal(contact) {
		b.away = append(b.away, raw)
		return
	}
	if err := s.receive(ctx, contact, owner, v, raw, b); err != nil {
		s.log.Error("subscription not delivered", "from", owner, "to", contact, "type", v, "error", err)
	}
}

// inboundVerb takes a verb that has come from another domain.
func (s *Service) inboundVerb(ctx context.Context, owner, peer stanza.JID, v verb, raw []byte, b *mail) {
	if len(raw) > maxRequest {
		raw = plainPresence(peer.String(), owner.String(), string(v))
	}
	unlock := s.change(owner, peer, b)
	defer unlock()
	if err := s.receive(ctx, owner, peer, v, raw, b); err != nil {
		s.log.Error("subscription not delivered", "from", peer, "to", owner, "type", v, "error", err)
	}
}

// receive applies a verb of `peer`, wherever that is, to the account `owner` of this domain. The
// locks of both must be held.
func (s *Service) receive(ctx context.Context, owner, peer stanza.JID, v verb, raw []byte, b *mail) error {
	_, err := s.store.Account(ctx, owner.Local)
	switch {
	case errors.Is(err, account.ErrNotFound):
		if v == subscribe { // section 3.1.3: nobody there to approve
			s.toContact(ctx, owner, peer, unsubscribed, nil, b)
		}
		return nil
	case err != nil:
		return err
	case v == subscribe && !s.roomFor(ctx, owner, peer, 2*s.limits.RosterItems):
		s.counts.RequestsRefused.Add(1)
		s.toContact(ctx, owner, peer, unsubscribed, nil, b)
		return nil
	}
	o, now, err := s.apply(ctx, owner, peer, func(it *account.Item) outcome { return inbound(it, v, raw) })
	if err != nil {
		return err
	}
	if o.pass && v == subscribe {
		s.toAvailable(owner.String(), raw, b)
	} else if o.pass {
		s.toInterested(owner.String(), raw, b) // before the push: section 3.1.6
	}
	if o.approve {
		s.toContact(ctx, owner, peer, subscribed, nil, b)
	}
	if o.push {
		s.pushItem(ctx, owner, o.step, &now, b)
	}
	if o.approve {
		s.startPresence(ctx, owner, peer, b)
	}
	if o.stop {
		s.endPresence(ctx, owner, peer, b)
	}
	return nil
}

// apply changes one roster item.
func (s *Service) apply(ctx context.Context, owner, contact stanza.JID, f func(*account.Item) outcome) (o outcome, now account.Item, err error) {
	step, err := s.store.UpdateItem(ctx, owner.Local, contact.String(), func(it *account.Item) bool {
		o = f(it)
		now = *it
		return o.changed
	})
	if err != nil {
		return outcome{}, now, fmt.Errorf("change item: %w", err)
	}
	if o.changed {
		s.forget(owner.String())
	}
	o.push, o.step = o.push && now.Listed, step
	return o, now, nil
}

// toAvailable delivers a stanza to all available sessions of an account.
func (s *Service) toAvailable(bare string, raw []byte, b *mail) {
	s.availableHere(bare, raw, b)
	s.tell(Op{Kind: OpAvailable, A: bare, Raw: raw})
}

func (s *Service) availableHere(bare string, raw []byte, b *mail) {
	for _, dst := range s.table.User(bare).Sessions() {
		if dst.Available() {
			b.Send(dst, raw, nil, nil, nil)
		}
	}
}

// toInterested delivers a stanza to all sessions of an account that have asked for the roster.
func (s *Service) toInterested(bare string, raw []byte, b *mail) {
	s.interestedHere(bare, raw, b)
	s.tell(Op{Kind: OpInterested, A: bare, Raw: raw})
}

func (s *Service) interestedHere(bare string, raw []byte, b *mail) {
	for _, dst := range s.table.User(bare).Sessions() {
		if pushes, _ := dst.Interested(); pushes {
			b.Send(dst, raw, nil, nil, nil)
		}
	}
}

// startPresence sends the presence of an account's sessions to a new subscriber.
func (s *Service) startPresence(ctx context.Context, owner, peer stanza.JID, b *mail) {
	s.startHere(ctx, owner, peer, b)
	s.tell(Op{Kind: OpStart, A: owner.String(), B: peer.String()})
}

func (s *Service) startHere(ctx context.Context, owner, peer stanza.JID, b *mail) {
	for _, src := range s.table.User(owner.String()).Sessions() {
		s.current(src, func(p []byte) { s.presenceTo(ctx, peer.String(), p, b) })
	}
}

// plainPresence is a presence without content.
func plainPresence(from, to, typ string) []byte {
	out := stanza.AppendAttr([]byte("<presence"), "from", from)
	if to != "" {
		out = stanza.AppendAttr(out, "to", to)
	}
	if typ != "" {
		out = stanza.AppendAttr(out, "type", typ)
	}
	return append(out, "/>"...)
}
