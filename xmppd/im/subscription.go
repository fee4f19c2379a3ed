package im

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// maxRequest bounds what is kept of a subscription request, in bytes.
const maxRequest = 4 << 10

// subscription carries a verb from an account to a contact: the sender's side, the contact's side,
// and the presence that follows. raw is the stanza with bare addresses; nil makes a plain one.
// change must be held.
func (s *Service) subscription(ctx context.Context, owner, contact stanza.JID, v verb, raw []byte, b *session.Batch) {
	if raw == nil || len(raw) > maxRequest {
		raw = plainPresence(owner.String(), contact.String(), string(v))
	}
	o, err := s.apply(ctx, owner, contact, b, func(it *account.Item) outcome { return outbound(it, v) })
	if err != nil {
		s.log.Error("subscription not changed", "from", owner, "to", contact, "type", v, "error", err)
		return
	}
	if o.stop {
		s.endPresence(owner, contact, b)
	}
	if o.pass {
		s.receive(ctx, contact, owner, v, raw, b)
	}
	if o.start {
		s.startPresence(owner, contact, b)
	}
}

// receive applies a verb of `peer` to the account `owner`.
func (s *Service) receive(ctx context.Context, owner, peer stanza.JID, v verb, raw []byte, b *session.Batch) {
	if _, err := s.store.Account(ctx, owner.Local); err != nil {
		if !errors.Is(err, account.ErrNotFound) {
			s.log.Error("subscription not delivered", "to", owner, "type", v, "error", err)
		} else if v == subscribe { // section 3.1.3: nobody there to approve
			s.receive(ctx, peer, owner, unsubscribed, plainPresence(owner.String(), peer.String(), string(unsubscribed)), b)
		}
		return
	}
	o, err := s.apply(ctx, owner, peer, b, func(it *account.Item) outcome { return inbound(it, v, raw) })
	if err != nil {
		s.log.Error("subscription not delivered", "to", owner, "type", v, "error", err)
		return
	}
	if o.approve {
		s.receive(ctx, peer, owner, subscribed, plainPresence(owner.String(), peer.String(), string(subscribed)), b)
		s.startPresence(owner, peer, b)
	}
	if o.stop {
		s.endPresence(owner, peer, b)
	}
	if o.pass {
		s.toAvailable(owner.String(), raw, b)
	}
}

// apply changes one roster item and pushes it.
func (s *Service) apply(ctx context.Context, owner, contact stanza.JID, b *session.Batch, f func(*account.Item) outcome) (outcome, error) {
	var o outcome
	var now account.Item
	err := s.store.UpdateItem(ctx, owner.Local, contact.String(), func(it *account.Item) bool {
		o = f(it)
		now = *it
		return o.changed
	})
	if err != nil {
		return o, err
	}
	if o.changed {
		s.forget(owner.String())
	}
	if o.push && now.Listed {
		s.pushItem(owner.String(), &now, b)
	}
	return o, nil
}

// toAvailable delivers a stanza to all available sessions of an account.
func (s *Service) toAvailable(bare string, raw []byte, b *session.Batch) {
	u := s.table.User(bare)
	if u == nil {
		return
	}
	for _, dst := range u.Sessions() {
		if dst.Available() {
			b.Send(dst, raw, nil, nil, nil)
		}
	}
}

// startPresence sends the presence of an account's sessions to a new subscriber.
func (s *Service) startPresence(owner, peer stanza.JID, b *session.Batch) {
	u := s.table.User(owner.String())
	if u == nil {
		return
	}
	for _, src := range u.Sessions() {
		if p := src.Presence(); p != nil {
			s.presenceTo(peer.String(), p, b)
		}
	}
}

// endPresence tells somebody who is no subscriber any more that an account's sessions are gone.
func (s *Service) endPresence(owner, peer stanza.JID, b *session.Batch) {
	u := s.table.User(owner.String())
	if u == nil {
		return
	}
	for _, src := range u.Sessions() {
		if src.Available() {
			s.presenceTo(peer.String(), plainPresence(src.Full, "", "unavailable"), b)
		}
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
