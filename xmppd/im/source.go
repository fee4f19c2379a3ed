package im

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// Items is the roster of an account as its owner sees it. account.ErrNotFound.
func (s *Service) Items(ctx context.Context, name string) ([]account.Item, error) {
	if _, err := s.store.Account(ctx, name); err != nil {
		return nil, err
	}
	return s.items(ctx, s.local(name), s.groups.load())
}

// Put makes an item in the roster of an account what a trusted source says, such as a portal that
// knows who belongs together: name, groups and subscription count, and nobody is asked. A contact of
// this domain gets the other half of the subscription. Clients that are on line see it at once.
// account.ErrNotFound, account.ErrInvalid.
func (s *Service) Put(ctx context.Context, name string, want account.Item) error {
	owner := s.local(name)
	contact, err := s.checkPut(ctx, owner, &want)
	if err != nil {
		return err
	}
	b := newMail()
	defer s.post(ctx, b)
	unlock := s.change(owner, contact, b)
	defer unlock()
	was, err := s.assign(ctx, owner, contact, want.To(), want.From(), b, func(it *account.Item) {
		it.Name, it.Groups, it.Listed = want.Name, want.Groups, true
	})
	if err != nil {
		return err
	}
	if s.isLocal(contact) {
		if _, err := s.store.Account(ctx, contact.Local); errors.Is(err, account.ErrNotFound) {
			return nil
		}
		_, err = s.assign(ctx, contact, owner, want.From(), want.To(), b, func(it *account.Item) {
			it.Listed = it.Listed || it.Subscription != account.SubNone
		})
		if err != nil {
			return err
		}
		s.shift(ctx, contact, owner, was.To(), want.To(), b)
	} else {
		s.tellElsewhere(ctx, owner, contact, &was, &want, b)
	}
	s.shift(ctx, owner, contact, was.From(), want.From(), b)
	return nil
}

// checkPut refuses what can't be in a roster.
func (s *Service) checkPut(ctx context.Context, owner stanza.JID, want *account.Item) (stanza.JID, error) {
	contact, err := stanza.ParseJID(want.Contact)
	if err != nil || contact.Resource != "" {
		return contact, account.Invalid("%q can't be a contact: give a bare JID", want.Contact)
	}
	switch want.Subscription {
	case account.SubNone, account.SubTo, account.SubFrom, account.SubBoth:
	default:
		return contact, account.Invalid("a subscription is none, to, from or both, not %q", want.Subscription)
	}
	c := change{contact: contact, name: want.Name, groups: want.Groups}
	if err := c.check(); err != nil {
		return contact, account.Invalid("%w", err)
	}
	switch {
	case contact == owner || contact == stanza.JID{Domain: s.domain}:
		return contact, account.Invalid("an account is no contact of its own, nor is the server")
	case s.isShared(owner, contact):
		return contact, account.Invalid("both are in shared groups, which make them contacts already")
	}
	if _, err := s.store.Account(ctx, owner.Local); err != nil {
		return contact, err
	}
	if !s.roomFor(ctx, owner, contact, s.limits.RosterItems) {
		return contact, account.Invalid("the roster is full")
	}
	return contact, nil
}

// assign gives an item its subscription, and what f sets besides, and pushes it if that is news. It
// returns the item as it was.
func (s *Service) assign(ctx context.Context, owner, contact stanza.JID, to, from bool, b *mail, f func(*account.Item)) (was account.Item, err error) {
	o, now, err := s.apply(ctx, owner, contact, func(it *account.Item) outcome {
		was = *it
		it.SetSub(to, from)
		it.Ask = it.Ask && !to
		if from {
			it.Request = nil
		}
		f(it)
		news := !reflect.DeepEqual(*it, was)
		return outcome{changed: news, push: news}
	})
	if o.push {
		s.pushItem(ctx, owner, o.step, &now, b)
	}
	return was, err
}

// shift starts or ends the presence of an account for a contact.
func (s *Service) shift(ctx context.Context, owner, contact stanza.JID, was, is bool, b *mail) {
	switch {
	case is && !was:
		s.startPresence(ctx, owner, contact, b)
	case was && !is:
		s.endPresence(ctx, owner, contact, b)
	}
}

// tellElsewhere sends the verbs that bring another domain's server to the same subscription.
func (s *Service) tellElsewhere(ctx context.Context, owner, contact stanza.JID, was, want *account.Item, b *mail) {
	send := func(when bool, v verb) {
		if when {
			s.toContact(ctx, owner, contact, v, nil, b)
		}
	}
	send(want.To() && !was.To(), subscribe)
	send(want.From() && !was.From(), subscribed)
	send(was.To() && !want.To(), unsubscribe)
	send(was.From() && !want.From(), unsubscribed)
}

// Remove takes an item out of the roster of an account, as the owner can do (RFC 6121 section 2.5).
// account.ErrNotFound, account.ErrNoContact, account.ErrInvalid.
func (s *Service) Remove(ctx context.Context, name, jid string) error {
	owner := s.local(name)
	contact, err := stanza.ParseJID(jid)
	if err != nil || s.isShared(owner, contact) {
		return account.Invalid("%q is no contact that can be removed", jid)
	}
	b := newMail()
	defer s.post(ctx, b)
	unlock := s.change(owner, contact, b)
	defer unlock()
	err = s.removeItem(ctx, owner, contact, b)
	var refused *module.Error
	if errors.As(err, &refused) {
		return fmt.Errorf("%s in the roster of %q: %w", jid, name, account.ErrNoContact)
	}
	return err
}
