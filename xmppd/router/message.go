package router

import (
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// message applies RFC 6121 section 8 to a message that is not for a connected full JID.
func (r *Router) message(src *session.Session, st *stanza.Stanza, to stanza.JID, b *session.Batch) {
	switch {
	case !r.Local(to):
		r.Bounce(src, st, b, "cancel", "remote-server-not-found", "this server does not talk to other domains")
		return
	case to.Local == "":
		r.undelivered(src, st, b) // nobody reads messages to the domain
		return
	case to.Resource != "":
		if dst := r.table.Get(to.String()); dst != nil {
			if !r.forward(src, st, dst, b) {
				r.undelivered(src, st, b)
			}
			return
		}
		// 8.5.3.2.1: only a chat message goes to another resource instead.
		if messageType(st) != "chat" {
			r.undelivered(src, st, b)
			return
		}
	}
	r.toAccount(src, st, to.Bare(), b)
}

// toAccount applies RFC 6121 sections 8.5.1, 8.5.2.1.1 and 8.5.2.2.1.
func (r *Router) toAccount(src *session.Session, st *stanza.Stanza, bare stanza.JID, b *session.Batch) {
	var all []*session.Session
	if u := r.table.User(bare.String()); u != nil {
		all = u.Sessions()
	}
	taken := false
	switch messageType(st) {
	case "groupchat", "error":
		// an account is no room; an error to a bare JID is dropped in undelivered
	case "headline":
		for _, dst := range all {
			if dst.Available() && dst.Priority() >= 0 {
				taken = r.forward(src, st, dst, b) || taken
			}
		}
	default:
		for _, dst := range mostAvailable(all) {
			taken = r.forward(src, st, dst, b) || taken
		}
	}
	switch {
	case taken:
	case messageType(st) == "headline":
		r.counts.Lost.Add(1) // section 8.5.2.2.1: MUST be dropped silently
	default:
		r.undelivered(src, st, b)
	}
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

// messageType is the type attribute, "normal" when missing or unknown (RFC 6121 section 5.2.2).
func messageType(st *stanza.Stanza) string {
	switch t := string(st.Get(st.Type.Value)); t {
	case "chat", "groupchat", "headline", "error":
		return t
	default:
		return "normal"
	}
}
