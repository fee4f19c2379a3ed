package im

import (
	"context"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// Bounds of RFC 6121 section 2.3.3 that are left to the server.
const (
	maxNameLen   = 1023 // bytes of an item's or group's name
	maxGroupsPer = 50
)

// change is what a roster set asks for.
type change struct {
	contact stanza.JID
	name    string
	groups  []string
	remove  bool
}

func parseSet(iq *module.IQ) (*change, error) {
	p := stanza.Parse(iq.Payload())
	c, items := new(change), 0
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		switch {
		case p.Depth() == 2 && string(p.Name()) == "item":
			items++
			raw, _ := p.Attr("jid")
			j, err := stanza.ParseJID(string(raw))
			if err != nil {
				return nil, module.BadRequest("the item's jid is not a JID")
			}
			c.contact = j.Bare()
			name, _ := p.Attr("name")
			c.name = string(name)
			sub, _ := p.Attr("subscription")
			c.remove = string(sub) == "remove"
		case p.Depth() == 3 && string(p.Name()) == "group":
			name := string(p.Content())
			if name == "" {
				return nil, &module.Error{Type: "modify", Condition: "not-acceptable", Text: "a group without a name"}
			}
			c.groups = append(c.groups, name)
		}
	}
	if items != 1 {
		return nil, module.BadRequest("a roster set has exactly one item")
	}
	return c, c.check()
}

// check applies the error cases of RFC 6121 section 2.3.3.
func (c *change) check() error {
	slices.Sort(c.groups)
	if len(c.groups) != len(slices.Compact(slices.Clone(c.groups))) {
		return module.BadRequest("a group is given twice")
	}
	tooLong := len(c.name) > maxNameLen || len(c.groups) > maxGroupsPer
	for _, g := range c.groups {
		tooLong = tooLong || len(g) > maxNameLen
	}
	if tooLong {
		return &module.Error{Type: "modify", Condition: "not-acceptable", Text: "a name is too long, or there are too many groups"}
	}
	return nil
}

func (s *Service) rosterSet(ctx context.Context, iq *module.IQ) error {
	c, err := parseSet(iq)
	if err != nil {
		return err
	}
	owner := iq.From.Bare()
	if c.contact == owner {
		return module.NotAllowed("the account itself can't be in its roster")
	}
	if s.isShared(owner, c.contact) {
		return module.NotAllowed("this contact comes from a shared group; the server's operator decides about it")
	}
	b := newMail()
	defer s.post(ctx, b)
	unlock := s.change(owner, c.contact, b)
	defer unlock()
	if c.remove {
		return s.removeItem(ctx, owner, c.contact, b)
	}
	if !s.roomFor(ctx, owner, c.contact, s.limits.RosterItems) {
		s.counts.RosterFull.Add(1)
		return &module.Error{Type: "wait", Condition: "resource-constraint", Text: "the roster is full"}
	}
	// The attributes subscription, ask and approved are the server's alone (section 2.1.2).
	o, now, err := s.apply(ctx, owner, c.contact, func(it *account.Item) outcome {
		it.Name, it.Groups, it.Listed = c.name, c.groups, true
		return outcome{changed: true}
	})
	if err != nil {
		return err
	}
	s.pushItem(ctx, owner, o.step, &now, b)
	return nil
}

// removeItem takes a contact out of a roster and ends the subscriptions of both directions
// (RFC 6121 section 2.5.2). A request of the contact that was not answered stays.
func (s *Service) removeItem(ctx context.Context, owner, contact stanza.JID, b *mail) error {
	var was account.Item
	step, err := s.store.UpdateItem(ctx, owner.Local, contact.String(), func(it *account.Item) bool {
		was = *it
		*it = account.Item{Contact: it.Contact, Subscription: account.SubNone, Request: it.Request}
		return was.Listed
	})
	switch {
	case err != nil:
		return err
	case !was.Listed:
		return module.NotFound("there is no such item in the roster")
	}
	s.forget(owner.String())
	s.push(ctx, owner, &news{step, contact.String(), appendRemoved(nil, contact.String())}, b)
	was.Request = nil
	s.part(ctx, owner, contact, &was, b)
	return nil
}

// part ends what there is between an account and a contact that it had as an item: the presence and
// subscriptions of both directions, and a request that waits. The locks of both must be held.
func (s *Service) part(ctx context.Context, owner, contact stanza.JID, was *account.Item, b *mail) {
	if was.From() {
		s.endPresence(ctx, owner, contact, b)
	}
	if was.To() || was.Ask {
		s.toContact(ctx, owner, contact, unsubscribe, nil, b)
	}
	if was.From() || was.Request != nil {
		s.toContact(ctx, owner, contact, unsubscribed, nil, b)
	}
}
