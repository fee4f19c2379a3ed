package router

import (
	"bytes"
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// nobody is the error for what nobody takes (RFC 6121 sections 8.5.2.2 and 8.5.3.2).
func nobody() error { return module.Unavailable() }

// busy is the error for who has too much waiting for a receiver that reads slowly.
func busy() *module.Error {
	return &module.Error{Type: "wait", Condition: "resource-constraint", Text: "too much from you waits for the receiver; send less at a time"}
}

// message applies RFC 6121 section 8 to a message for the domain or an account of it.
func (r *Router) message(ctx context.Context, p *module.Passage) error {
	if p.To.Local == "" {
		return nobody() // nobody reads messages to the domain
	}
	owner := p.To.Bare()
	if r.Blocked(ctx, owner, p.From) {
		return r.untaken(p) // XEP-0191 section 3: as if nobody were there
	}
	u := r.table.User(owner.String())
	if err := r.received(ctx, owner, u, p); err != nil {
		return err
	}
	return r.place(ctx, owner, u, p)
}

// place gives a message to the sessions that it is for, or to whoever keeps it. It may have to wait
// behind what sessions that are gone give back.
func (r *Router) place(ctx context.Context, owner stanza.JID, u *session.User, p *module.Passage) error {
	all := r.recipients(u, p)
	// Behind the look: a session that is not found there has left by now, or leaves.
	if !p.Again {
		if held, err := r.hold(u, p); held || err != nil {
			return err
		}
	}
	var took []*session.Session
	if len(all) > 0 {
		if r.due(ctx, owner, u, p) {
			return nil
		}
		var full bool
		if took, full = r.deliver(ctx, u, p, all); len(took) == 0 {
			if full {
				return busy()
			}
			if held, err := r.hold(u, p); held || err != nil {
				return err
			}
		}
	}
	if r.delivered(ctx, owner, u, p, took) {
		return nil
	}
	if p.To.Resource == "" && module.MessageType(p.Stanza) == "headline" {
		r.counts.Lost.Add(1) // section 8.5.2.2.1: MUST be dropped silently
		return nil
	}
	return r.untaken(p)
}

// untaken is what becomes of a message that nobody takes or keeps: an error, but for one that has
// nothing to say any more by the time somebody could read it.
func (r *Router) untaken(p *module.Passage) error {
	if fleeting(p.Stanza) {
		r.counts.Lost.Add(1)
		return nil
	}
	return nobody()
}

// fleeting reports whether a chat message only tells what its sender is doing (XEP-0085, XEP-0333),
// and does not ask to be stored. Clients send them unasked to whoever they last talked to, and their
// users would be shown an error for each.
func fleeting(st *stanza.Stanza) bool {
	if module.MessageType(st) != "chat" {
		return false
	}
	tells := false
	for el := range st.Elements() {
		switch ns := string(el.NS); {
		case ns == "http://jabber.org/protocol/chatstates" || ns == "urn:xmpp:chat-markers:0":
			tells = true
		case ns == "urn:xmpp:hints" && string(el.Name) != "store":
		case ns == "urn:xmpp:sid:0": // names the message
		case (ns == "" || ns == stanza.NSClient) && string(el.Name) == "thread":
		default:
			return false
		}
	}
	return tells
}

// hold lets a message wait for sessions of the account that leave, if it could overtake what they
// give back.
func (r *Router) hold(u *session.User, p *module.Passage) (held bool, err error) {
	if !u.Leaves() || !ordered(p) || r.faults.HoldNothing {
		return false, nil
	}
	raw := p.Bytes()
	if p.Stamped {
		raw = bytes.Clone(raw)
	}
	held, full := u.Hold(session.Held{From: p.From, To: p.To, Raw: raw, Again: p.Again})
	if full {
		err = &module.Error{Type: "wait", Condition: "resource-constraint", Text: "too many messages wait for the end of a session"}
	}
	return held, err
}

// ordered reports whether a message takes part in the order of those to an account: whether it may
// be kept, and go to another session than the one it was addressed to.
func ordered(p *module.Passage) bool {
	t := module.MessageType(p.Stanza)
	return t == "chat" || t == "normal" && p.To.Resource == ""
}

// deliver queues a message for sessions of an account, and returns those that took it. full tells that one did
// not since too much of the sender waits for it.
func (r *Router) deliver(ctx context.Context, u *session.User, p *module.Passage, all []*session.Session) (took []*session.Session, full bool) {
	var forked []byte
	if len(all) > 1 {
		forked = p.Bytes()
		u.Fork(forked, len(all))
	}
	for _, dst := range all {
		if r.faults.HookTwice {
			_ = r.received(ctx, p.To.Bare(), u, p)
		}
		switch r.send(p, dst) {
		case session.Took:
			took = append(took, dst)
			continue
		case session.Busy:
			full = true
		case session.Refused:
			u.Leave(dst)
		}
		if forked != nil && u.Unfork(forked) {
			return nil, full // those that took it have given it back already
		}
	}
	return took, full
}

// recipients are the sessions that a message to an account is for (RFC 6121 sections 8.5.2.1.1,
// 8.5.2.2.1 and 8.5.3).
func (r *Router) recipients(u *session.User, p *module.Passage) []*session.Session {
	if u == nil {
		return nil
	}
	all, typ := u.Sessions(), module.MessageType(p.Stanza)
	if p.To.Resource != "" {
		for _, s := range all {
			if s.JID == p.To {
				return []*session.Session{s}
			}
		}
		if typ != "chat" {
			return nil // 8.5.3.2.1: only a chat message goes to another resource instead
		}
	}
	switch typ {
	case "groupchat", "error":
		return nil // an account is no room, and an error to a bare JID means nothing to it
	case "headline":
		var out []*session.Session
		for _, s := range all {
			if s.Available() && s.Priority() >= 0 {
				out = append(out, s)
			}
		}
		return out
	}
	return mostAvailable(all)
}

// mostAvailable returns the sessions with the highest priority, if that is not negative
// (RFC 6121 section 8.5.2.1.1).
func mostAvailable(all []*session.Session) []*session.Session {
	best := 0
	var out []*session.Session
	for _, s := range all {
		switch p := s.Priority(); {
		case p < best || p < 0:
		case p > best:
			best, out = p, append(out[:0:0], s)
		default:
			out = append(out, s)
		}
	}
	return out
}

// Deliver queues a stanza made by the server, or stamped already, for a full JID or for the
// sessions that a bare JID stands for. It is never bounced: false means nobody took it. No hook
// sees it.
func (r *Router) Deliver(to stanza.JID, raw []byte, b *session.Batch) bool {
	if to.Resource != "" {
		dst := r.table.Get(to.String())
		return dst != nil && b.Send(dst, raw, nil, nil, nil)
	}
	u := r.table.User(to.String())
	if u == nil {
		return false
	}
	taken := false
	for _, dst := range mostAvailable(u.Sessions()) {
		taken = b.Send(dst, raw, nil, nil, nil) || taken
	}
	return taken
}
