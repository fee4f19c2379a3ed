package router

import (
	"math"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Counters count what the router has done since it was made.
type Counters struct {
	Routed   atomic.Uint64 // stanzas queued for a session
	Answered atomic.Uint64 // requests answered by a module
	Bounced  atomic.Uint64 // error replies
	Lost     atomic.Uint64 // undeliverable stanzas that RFC 6121 wants dropped
}

// Counts returns the router's counters.
func (r *Router) Counts() *Counters { return &r.counts }

// undelivered bounces a stanza that nobody took (RFC 6121 sections 8.5.2.2 and 8.5.3.2). Errors,
// results and presence are dropped: answering them could go on forever.
func (r *Router) undelivered(src *session.Session, st *stanza.Stanza, b *session.Batch) {
	r.Bounce(src, st, b, "cancel", "service-unavailable", "")
}

// mayBounce reports whether an error may answer the stanza.
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
	if !mayBounce(st) || r.faults.DropUndelivered {
		r.counts.Lost.Add(1)
		return
	}
	r.counts.Bounced.Add(1)
	from := r.domain.Domain
	if st.To.Present() {
		from = st.AttrString(st.To)
	}
	b.Send(src, stanza.AppendError(nil, st, from, typ, condition, text), nil, nil, nil)
}

// Return bounces the stanzas that a session had been given but that were never written to it. left
// holds runs of whole stanzas; the first `written` bytes of the first run went out.
func (r *Router) Return(left [][]byte, written int, b *session.Batch) {
	scan := stanza.NewScanner(stanza.Limits{MaxStanza: math.MaxInt, MaxDepth: math.MaxInt, MaxAttrs: math.MaxInt, MaxName: math.MaxInt}) // they have passed once
	for _, run := range left {
		for pos := 0; pos < len(run); {
			st, n, err := scan.Next(run[pos:])
			if err != nil || n == 0 || (st != nil && st.Kind == stanza.StreamEnd) {
				break // the stream's own end, or a stream error: nothing behind it
			}
			pos += n
			if st != nil && pos > written {
				r.sendBack(st, b)
			}
		}
		written = 0
	}
}

// sendBack answers one stanza, already stamped with its sender, that a dying session did not get.
func (r *Router) sendBack(st *stanza.Stanza, b *session.Batch) {
	if st.Kind == stanza.Presence || !mayBounce(st) || !st.From.Present() {
		return
	}
	from, err := stanza.ParseJID(st.AttrString(st.From))
	if err != nil || from.Resource == "" {
		return
	}
	if src := r.table.Get(from.String()); src != nil {
		r.Bounce(src, st, b, "wait", "recipient-unavailable", "")
	}
}
