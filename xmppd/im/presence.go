package im

import (
	"bytes"
	"context"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Handle implements router.Presence.
func (s *Service) Handle(ctx context.Context, src *session.Session, st *stanza.Stanza, b *session.Batch) {
	src.Order.Lock()
	defer src.Order.Unlock()
	if src.Ended() {
		return
	}
	typ := string(st.Get(st.Type.Value))
	if !st.To.Present() {
		switch typ {
		case "":
			s.available(ctx, src, st, b)
		case "unavailable":
			s.unavailable(ctx, src, restamp(st, src.Full, ""), b)
		case "error":
		default:
			s.router.Bounce(src, st, b, "modify", "bad-request", "this type of presence needs an address")
		}
		return
	}
	to, err := stanza.ParseJID(st.AttrString(st.To))
	switch {
	case err != nil:
		s.router.Bounce(src, st, b, "modify", "jid-malformed", "")
	case to.Domain != s.domain:
		s.router.Bounce(src, st, b, "cancel", "remote-server-not-found", "this server does not talk to other domains")
	case to.Local == "":
		// Presence to the server itself means nothing to it.
	case typ == "" || typ == "unavailable":
		s.directed(ctx, src, st, to, typ == "", b)
	case typ == "subscribe" || typ == "subscribed" || typ == "unsubscribe" || typ == "unsubscribed":
		s.manage(ctx, src, st, to.Bare(), verb(typ), b)
	case typ == "probe":
		s.probe(ctx, src, to, b)
	case typ == "error":
		s.router.Deliver(to, restamp(st, src.Full, to.String()), b)
	default:
		s.router.Bounce(src, st, b, "modify", "bad-request", "unknown type of presence")
	}
}

// available broadcasts presence (RFC 6121 sections 4.2 and 4.4). The first one of a session also
// brings it the presence of its contacts.
func (s *Service) available(ctx context.Context, src *session.Session, st *stanza.Stanza, b *session.Batch) {
	prio, ok := priority(st)
	if !ok {
		s.router.Bounce(src, st, b, "modify", "bad-request", "the priority is not a number from -128 to 127")
		return
	}
	p := restamp(st, src.Full, "")
	before := src.Priority()
	was := src.SetPresence(p, prio)
	s.broadcast(ctx, src, p, b)
	if !was {
		s.welcome(ctx, src, b)
	}
	if !was || before < 0 && prio >= 0 {
		s.router.Available(ctx, src, b)
	}
}

// priority reads the priority of a presence, 0 if it has none.
func priority(st *stanza.Stanza) (int, bool) {
	if st.Child.End == 0 {
		return 0, true
	}
	p := stanza.Parse(st.Raw)
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev == stanza.Start && p.Depth() == 2 && string(p.Name()) == "priority" {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(p.Content())), 10, 8)
			return int(n), err == nil
		}
	}
	return 0, true
}

// broadcast sends presence to the subscribers of an account and to its own available sessions.
func (s *Service) broadcast(ctx context.Context, src *session.Session, p []byte, b *session.Batch) {
	for _, c := range s.contacts(ctx, src.User()).From {
		s.presenceTo(c, p, b)
	}
	s.presenceTo(src.Bare, p, b)
}

// presenceTo sends presence, which has no "to" yet, to the available sessions of an account.
func (s *Service) presenceTo(bare string, p []byte, b *session.Batch) {
	u := s.table.User(bare)
	if u == nil {
		return
	}
	var to []byte
	at := nameEnd(p)
	for _, dst := range u.Sessions() {
		if !dst.Available() {
			continue
		}
		if to == nil {
			to = stanza.AppendAttr(make([]byte, 0, len(bare)+8), "to", bare)
		}
		b.Send(dst, p[:at], to, p[at:], nil)
	}
}

// nameEnd is the offset behind the name of the element that raw begins with.
func nameEnd(raw []byte) int {
	for i, c := range raw {
		switch c {
		case ' ', '\t', '\r', '\n', '>', '/':
			return i
		}
	}
	return len(raw)
}

// welcome sends a session that has become available the presence of its contacts and of the other
// sessions of its account, and the subscription requests that wait for it (RFC 6121 sections
// 3.1.3 and 4.2.3). Contacts are all of this domain, so probes need not be sent.
func (s *Service) welcome(ctx context.Context, src *session.Session, b *session.Batch) {
	to := stanza.AppendAttr(nil, "to", src.Full)
	send := func(from *session.Session) {
		if p := from.Presence(); p != nil && from != src {
			at := nameEnd(p)
			b.Send(src, p[:at], to, p[at:], nil)
		}
	}
	for _, c := range s.contacts(ctx, src.User()).To {
		if u := s.table.User(c); u != nil {
			for _, from := range u.Sessions() {
				send(from)
			}
		}
	}
	for _, own := range src.User().Sessions() {
		send(own)
	}
	items, err := s.store.Roster(ctx, src.JID.Local)
	if err != nil {
		s.log.Error("roster can't be read; requests are not delivered", "account", src.Bare, "error", err)
		return
	}
	for i := range items {
		if items[i].Request != nil {
			b.Send(src, items[i].Request, nil, nil, nil)
		}
	}
}

// unavailable takes back the presence of a session (RFC 6121 section 4.5), also from those that
// got it directed.
func (s *Service) unavailable(ctx context.Context, src *session.Session, p []byte, b *session.Batch) {
	was := src.SetPresence(nil, session.Unavailable)
	told := make(map[string]struct{})
	if was {
		for _, c := range s.contacts(ctx, src.User()).From {
			told[c] = struct{}{}
			s.presenceTo(c, p, b)
		}
		s.presenceTo(src.Bare, p, b)
	}
	for _, to := range src.TakeDirected() {
		j, err := stanza.ParseJID(to)
		if err != nil {
			continue
		}
		if _, done := told[j.Bare().String()]; !done {
			s.sendDirected(j, p, b)
		}
	}
}

// SessionEnded takes back the presence of a session that is gone, once.
func (s *Service) SessionEnded(ctx context.Context, src *session.Session) {
	src.Order.Lock()
	defer src.Order.Unlock()
	if !src.End() {
		return
	}
	var b session.Batch
	s.unavailable(ctx, src, plainPresence(src.Full, "", "unavailable"), &b)
	b.Flush()
	s.router.Ended(ctx, src)
}

// directed sends presence to somebody whatever the rosters say (RFC 6121 section 4.6).
func (s *Service) directed(ctx context.Context, src *session.Session, st *stanza.Stanza, to stanza.JID, available bool, b *session.Batch) {
	if !src.NoteDirected(to.String(), available, s.limits.Directed) {
		s.router.Bounce(src, st, b, "wait", "resource-constraint", "presence is directed to too many already")
		return
	}
	s.sendDirected(to, restamp(st, src.Full, ""), b)
}

func (s *Service) sendDirected(to stanza.JID, p []byte, b *session.Batch) {
	if to.Resource == "" {
		s.presenceTo(to.String(), p, b)
		return
	}
	if dst := s.table.Get(to.String()); dst != nil {
		at := nameEnd(p)
		b.Send(dst, p[:at], stanza.AppendAttr(nil, "to", to.String()), p[at:], nil)
	}
}

// manage handles the four verbs of RFC 6121 section 3.
func (s *Service) manage(ctx context.Context, src *session.Session, st *stanza.Stanza, contact stanza.JID, v verb, b *session.Batch) {
	owner := src.JID.Bare()
	switch {
	case contact == owner:
		return // everybody has one's own presence
	case s.isShared(owner, contact):
		if v == subscribe { // has been granted already
			b.Send(src, plainPresence(contact.String(), owner.String(), string(subscribed)), nil, nil, nil)
		}
		return
	}
	s.change.Lock()
	defer s.change.Unlock()
	s.subscription(ctx, owner, contact, v, restamp(st, owner.String(), contact.String()), b)
}

// probe answers a probe that a client has sent itself (RFC 6121 section 4.3).
func (s *Service) probe(ctx context.Context, src *session.Session, to stanza.JID, b *session.Batch) {
	owner, peer := to.Bare(), src.JID.Bare()
	it, err := s.store.Item(ctx, owner.Local, peer.String())
	if err != nil {
		s.log.Error("probe not answered", "to", owner, "error", err)
		return
	}
	if owner != peer && !it.From() && !s.isShared(owner, peer) {
		b.Send(src, plainPresence(owner.String(), src.Full, string(unsubscribed)), nil, nil, nil)
		return
	}
	attr := stanza.AppendAttr(nil, "to", src.Full)
	if u := s.table.User(owner.String()); u != nil {
		for _, from := range u.Sessions() {
			if p := from.Presence(); p != nil && (to.Resource == "" || to == from.JID) {
				at := nameEnd(p)
				b.Send(src, p[:at], attr, p[at:], nil)
			}
		}
	}
}
