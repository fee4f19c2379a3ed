package router

import (
	"context"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Counters count what the router has done since it was made.
type Counters struct {
	Routed   atomic.Uint64 // stanzas queued for a session
	Answered atomic.Uint64 // requests answered by a module
	Bounced  atomic.Uint64 // error replies
	Busy     atomic.Uint64 // of these, to who had too much waiting for the receiver
	Lost     atomic.Uint64 // undeliverable stanzas that RFC 6121 wants dropped
}

// Counts returns the router's counters.
func (r *Router) Counts() *Counters { return &r.counts }

// mayBounce reports whether an error may answer the stanza. Errors, results and presence are
// dropped: answering them could go on forever.
func mayBounce(st *stanza.Stanza) bool {
	t := string(st.Get(st.Type.Value))
	switch st.Kind {
	case stanza.Message:
		return t != "error"
	case stanza.IQ:
		return t != "error" && t != "result"
	case stanza.Presence:
		return t != "error" && t != "unavailable"
	case stanza.Nonza, stanza.StreamEnd:
	}
	return false
}

// Bounce answers a stanza of src with an error, unless it is one that must not be answered.
func (r *Router) Bounce(src *session.Session, st *stanza.Stanza, b *session.Batch, typ, condition, text string) {
	r.Refuse(src, st, b, &module.Error{Type: typ, Condition: condition, Text: text})
}

// Refuse is Bounce with an error that may have a condition of an application's own.
func (r *Router) Refuse(src *session.Session, st *stanza.Stanza, b *session.Batch, e *module.Error) {
	if reply := r.errorReply(st, e); reply != nil {
		b.Send(src, reply, nil, nil, nil)
	}
}

// errorReply is the error that answers a stanza; nil if none may.
func (r *Router) errorReply(st *stanza.Stanza, e *module.Error) []byte {
	if !mayBounce(st) || r.faults.DropUndelivered {
		r.counts.Lost.Add(1)
		return nil
	}
	r.counts.Bounced.Add(1)
	// The stanza's own "to" is who answers; without one it is the sender's account, and the answer
	// bears no "from" (RFC 6120 section 8.1.2.1).
	return stanza.AppendErrorApp(nil, st, "", e.Type, e.Condition, e.Text, e.App)
}

// Return finds other ways for the stanzas that a session, which is gone, had been given but that
// were never written to it. left holds runs of whole stanzas; the first `written` bytes of the
// first run went out. Messages go to other sessions of the account, or to whoever keeps messages
// for it; the rest goes back to its senders. Then come the messages that have waited meanwhile
// (session.Held). It is called once for each session.
func (r *Router) Return(ctx context.Context, gone *session.Session, left [][]byte, written int, b *session.Batch) {
	r.sendAllBack(ctx, gone, left, written, b)
	r.returned(ctx, gone, b)
	for {
		m, more := r.table.Left(gone)
		if !more {
			return
		}
		r.placeHeld(ctx, gone.JID.Bare(), m, b)
	}
}

// placeHeld takes care of a message that has waited for the end of a session.
func (r *Router) placeHeld(ctx context.Context, owner stanza.JID, m session.Held, b *session.Batch) {
	st, err := stanza.One(m.Raw)
	if err != nil { // it was one before
		r.counts.Lost.Add(1)
		return
	}
	p := &module.Passage{From: m.From, To: m.To, Stanza: st, Batch: b, Stamped: true, Again: true}
	err = r.place(ctx, owner, r.table.User(owner.String()), p)
	if err == nil {
		return
	}
	if reply := r.errorReply(st, r.failure(p, err)); reply != nil {
		r.reply(ctx, m.From, reply, b)
	}
}

func (r *Router) sendAllBack(ctx context.Context, gone *session.Session, left [][]byte, written int, b *session.Batch) {
	scan := stanza.NewScanner(stanza.Unlimited()) // they have passed once
	kept := false
	if r.faults.LoseReturned {
		left = nil
	}
	for _, run := range left {
		for pos := 0; pos < len(run); {
			st, n, err := scan.Next(run[pos:])
			if err != nil || n == 0 || (st != nil && st.Kind == stanza.StreamEnd) {
				break // the stream's own end, or a stream error: nothing behind it
			}
			pos += n
			if st != nil && pos > written {
				kept = r.sendBack(ctx, gone, st, kept, b) || kept
			}
		}
		written = 0
	}
}

// sendBack takes care of one stanza, already stamped with its sender, that a dying session did not
// get. It reports whether somebody keeps it. behind tells that an earlier one is kept: then messages
// are kept first of all, for a session that has come meanwhile must not get them before that one.
func (r *Router) sendBack(ctx context.Context, gone *session.Session, st *stanza.Stanza, behind bool, b *session.Batch) (kept bool) {
	owner := gone.JID.Bare()
	if st.Kind == stanza.Presence || !mayBounce(st) || !st.From.Present() {
		return false
	}
	from, err := stanza.ParseJID(st.AttrString(st.From))
	if err != nil || from == owner || from == r.domain && st.Kind != stanza.Message {
		return false // made by the server for this session alone
	}
	if st.Kind == stanza.Message && owner.Local != "" {
		if !gone.User().Unfork(st.Raw) && !r.faults.ForkTwice {
			return false // another session has it
		}
		p := &module.Passage{From: from, To: owner, Stanza: st, Batch: b, Stamped: true, Again: true}
		u := r.table.User(owner.String())
		if behind && r.delivered(ctx, owner, u, p, nil) {
			return true
		}
		var took []*session.Session
		if t := module.MessageType(st); t == "chat" || t == "normal" {
			all := r.recipients(u, p)
			if len(all) > 0 && r.due(ctx, owner, u, p) {
				return
			}
			took, _ = r.deliver(ctx, u, p, all)
		}
		switch {
		case len(took) > 0:
			return false
		case !behind && r.delivered(ctx, owner, u, p, nil):
			return true
		}
	}
	if st.Kind == stanza.Message && fleeting(st) {
		r.counts.Lost.Add(1)
		return false
	}
	// Not recipient-unavailable: it would tell anybody that the session was there (RFC 6120 section 8.3.3.13).
	reply := r.errorReply(st, module.Unavailable())
	if reply != nil {
		r.reply(ctx, from, reply, b)
	}
	return false
}

// reply sends an answer to wherever a stanza came from.
func (r *Router) reply(ctx context.Context, to stanza.JID, raw []byte, b *session.Batch) {
	if r.Local(to) {
		if dst := r.table.Get(to.String()); dst != nil {
			b.Send(dst, raw, nil, nil, nil)
		} else if r.cluster != nil && to.Resource != "" {
			r.cluster.Reply(to, raw)
		}
		return
	}
	if err := r.Inject(ctx, raw, b); err != nil {
		r.counts.Lost.Add(1)
	}
}
