package im

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// broadcast sends presence to the subscribers of an account and to its own available sessions.
func (s *Service) broadcast(ctx context.Context, src *session.Session, p []byte, b *mail) {
	s.counts.Broadcasts.Add(1)
	b.gated = s.router.Gated(src.User())
	muted := src.Muted(false)
	s.begin(b)
	before := s.contacts(ctx, src.User())
	for _, c := range before.From {
		if _, is := muted[c]; !is {
			s.presenceTo(ctx, c, p, b)
		}
	}
	s.presenceTo(ctx, src.Bare, p, b)
	s.finish(p, b)
	// A subscription that has ended meanwhile was told so, perhaps before this presence came.
	if now := s.contacts(ctx, src.User()); now != before && now != &s.unknown {
		for _, c := range lost(before.From, now.From) {
			s.goneFor(ctx, src.Full, c, b)
		}
	}
}

// lost returns those of before that are not in now.
func lost(before, now []string) (out []string) {
	still := make(map[string]struct{}, len(now))
	for _, c := range now {
		still[c] = struct{}{}
	}
	for _, c := range before {
		if _, is := still[c]; !is {
			out = append(out, c)
		}
	}
	return out
}

// presenceTo sends presence, which has no "to" yet, to a contact: to the available sessions of an
// account, or to another domain.
func (s *Service) presenceTo(ctx context.Context, bare string, p []byte, b *mail) {
	switch {
	case !s.ofDomain(bare):
		b.away = append(b.away, addressed(p, bare))
		return
	case b.gather:
		b.many = append(b.many, bare)
	case s.others != nil:
		s.tell(Op{Kind: OpCast, Raw: p, List: []string{bare}})
	}
	s.presenceHere(ctx, bare, p, b)
}

// begin lets presenceTo gather the accounts that the other servers are told of; finish tells them.
func (s *Service) begin(b *mail) { b.gather = s.others != nil }

func (s *Service) finish(p []byte, b *mail) {
	if b.gather {
		s.tell(Op{Kind: OpCast, Raw: p, List: b.many})
		b.gather, b.many = false, nil
	}
}

// presenceHere sends presence to the available sessions that an account has here, and reports whether
// it has some.
func (s *Service) presenceHere(ctx context.Context, bare string, p []byte, b *mail) (any bool) {
	u := s.table.User(bare)
	if u == nil {
		return false
	}
	at := nameEnd(p)
	gated := b.gated || s.router.Gated(u)
	for _, dst := range u.Sessions() {
		if dst.Available() && !(gated && s.blockedBetween(ctx, p, dst)) {
			any = b.Send(dst, p[:at], u.To, p[at:], nil) || any
		}
	}
	return any
}

// current sends a session's presence, and sends again if it changed meanwhile: a broadcast of the
// session may run at the same time, and what is seen last must be the newest.
func (s *Service) current(src *session.Session, send func(p []byte)) {
	p := src.Presence()
	for p != nil {
		send(p)
		now := src.Presence()
		if now == nil {
			send(plainPresence(src.Full, "", "unavailable"))
			return
		}
		if &now[0] == &p[0] {
			return
		}
		p = now
	}
}

// welcome sends a session that has become available the presence of its contacts and of the other
// sessions of its account, and the subscription requests that wait for it (RFC 6121 sections
// 3.1.3 and 4.2.2). Contacts elsewhere are probed; those that haven't answered a request get it
// once more (section 3.1.2).
func (s *Service) welcome(ctx context.Context, src *session.Session, b *mail) {
	if hidden, probes := src.Hidden(); !hidden || probes {
		s.askAround(ctx, src, b)
	}
	s.requests(ctx, src, b)
}

// requests sends a session the subscription requests that wait, and repeats those of its account.
func (s *Service) requests(ctx context.Context, src *session.Session, b *mail) {
	c := s.contacts(ctx, src.User())
	for _, request := range c.Requests {
		b.Send(src, request, nil, nil, nil)
	}
	for _, asked := range c.Asked {
		b.away = append(b.away, plainPresence(src.Bare, asked, string(subscribe)))
	}
}

// askAround brings a session the presence of those it is subscribed to.
func (s *Service) askAround(ctx context.Context, src *session.Session, b *mail) {
	to := stanza.AppendAttr(nil, "to", src.Full)
	send := func(p []byte) {
		at := nameEnd(p)
		b.Send(src, p[:at], to, p[at:], nil)
	}
	before := s.contacts(ctx, src.User())
	for _, c := range before.To {
		u := s.table.User(c)
		if u == nil && !s.ofDomain(c) {
			b.away = append(b.away, plainPresence(src.Full, c, "probe"))
		}
		for _, from := range u.Sessions() {
			s.current(from, send)
		}
	}
	if now := s.contacts(ctx, src.User()); now != before && now != &s.unknown {
		for _, c := range lost(before.To, now.To) { // see broadcast
			for _, from := range s.table.User(c).Sessions() {
				send(plainPresence(from.Full, "", "unavailable"))
			}
		}
	}
	for _, own := range src.User().Sessions() {
		if own != src {
			s.current(own, send)
		}
	}
	if s.others != nil {
		accounts := []string{src.Bare}
		for _, c := range before.To {
			if s.ofDomain(c) {
				accounts = append(accounts, c)
			}
		}
		s.tell(Op{Kind: OpProbe, A: src.Full, List: accounts})
	}
}

// unavailable takes back the presence of a session (RFC 6121 section 4.5), also from those that
// got it directed.
func (s *Service) unavailable(ctx context.Context, src *session.Session, p []byte, b *mail) {
	s.late.drop(src)
	s.takeBack(ctx, src, p, session.Unavailable, b)
}

// takeBack gives a session a priority and no presence, and sends unavailable presence to those that
// have seen it: by broadcast, if it had presence, and by directed presence.
func (s *Service) takeBack(ctx context.Context, src *session.Session, p []byte, priority int, b *mail) {
	b.gated = s.router.Gated(src.User())
	muted := src.Muted(true)
	b.Block()
	// Under the lock, so that of a subscriber that leaves either this knows, or endPresence knows
	// of the presence.
	unlock := s.lock(src.JID, src.JID)
	seen := src.SetPresence(nil, priority) != nil
	var told []string
	if seen {
		told = s.contacts(ctx, src.User()).From
	}
	unlock()
	done := make(map[string]struct{}, len(told))
	for _, c := range told {
		done[c] = struct{}{}
	}
	for _, to := range src.TakeDirected() { // first: other servers forget the session with its broadcast
		j, err := stanza.ParseJID(to)
		if err != nil {
			continue
		}
		if _, is := done[j.Bare().String()]; !is {
			s.undirect(ctx, j, p, b)
		}
	}
	if !seen {
		return
	}
	s.begin(b)
	for _, c := range told {
		if _, is := muted[c]; !is {
			s.presenceTo(ctx, c, p, b)
		}
	}
	s.presenceTo(ctx, src.Bare, p, b)
	s.finish(p, b)
}

// SessionEnded takes back the presence of a session that is gone, once.
func (s *Service) SessionEnded(ctx context.Context, src *session.Session) {
	src.Order.Lock()
	defer src.Order.Unlock()
	if !src.End() {
		return
	}
	if src.SetHidden(false, false) {
		s.counts.Hidden.Add(-1)
	}
	b := newMail()
	s.unavailable(ctx, src, plainPresence(src.Full, "", "unavailable"), b)
	if own := s.table.Get(src.Full); own != nil && own != src && s.others != nil && !s.faults.ShowHalf {
		s.showMoved(ctx, own, b) // it was here before, and came back
	}
	if s.sights.has(src.Full) { // its resource was bound at another server, and seen here before
		s.tell(Op{Kind: OpShow, List: []string{src.Full}})
	}
	s.post(ctx, b)
	s.router.Ended(ctx, src)
}
