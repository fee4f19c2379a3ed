package module

import (
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Passage is a stanza on its way. It is valid during the call that it is handed to, and belongs to
// one goroutine.
type Passage struct {
	// Src is the session or link that the stanza came from, and where its errors go; nil for a
	// stanza that the server has made.
	Src    *session.Session
	From   stanza.JID // who sent it; a client's full JID
	To     stanza.JID // the sender's own account if the stanza has no "to"
	Stanza *stanza.Stanza
	Batch  *session.Batch
	// Stamped tells that the stanza bears its final "from"; without, the address of Src is put in
	// when it is sent on.
	Stamped bool
	// Again tells that a message was in a queue before: of a session that is gone, or behind that.
	Again bool
	// Since is when it was taken, or soon after, if it has been on its way to another server since and come back: it belongs
	// before what was taken later. Zero: now.
	Since time.Time
	// Hops is through how many other servers of the cluster it has come.
	Hops int
	// Here tells that this server takes care of it, wherever else the receiver has sessions.
	Here bool
}

// Bytes returns the stanza as its receiver gets it, with the sender's address. It is a copy unless
// Stamped.
func (p *Passage) Bytes() []byte {
	if p.Stamped {
		return p.Stanza.Raw
	}
	head, from, rest, tail := p.Pieces()
	out := make([]byte, 0, len(p.Stanza.Raw)+len(p.Src.From))
	return append(append(append(append(out, head...), from...), rest...), tail...)
}

// Replace puts another stanza in the place of this one, which must bear its "from". The present one
// stays untouched, for others may hold it.
func (p *Passage) Replace(raw []byte) error {
	st, err := stanza.One(raw)
	if err != nil {
		return fmt.Errorf("replace stanza: %w", err)
	}
	p.Stanza, p.Stamped = st, true
	return nil
}

// Send queues the stanza for a session; false if that takes nothing more.
func (p *Passage) Send(dst *session.Session) bool {
	head, from, rest, tail := p.Pieces()
	return p.Batch.Send(dst, head, from, rest, tail)
}

// Offer is Send of a stanza that may go back to its sender when too much of that waits already.
func (p *Passage) Offer(dst *session.Session) session.Taken {
	head, from, rest, tail := p.Pieces()
	return p.Batch.Offer(dst, head, from, rest, tail)
}

// Pieces are what Bytes returns, one behind the other, without a copy.
func (p *Passage) Pieces() (head, from, rest, tail []byte) {
	st := p.Stanza
	if p.Stamped {
		return st.Raw, nil, nil, nil
	}
	head = st.Raw[:st.NameEnd]
	if !st.From.Present() {
		return head, p.Src.From, st.Raw[st.NameEnd:], nil
	}
	return head, p.Src.From, st.Raw[st.NameEnd:st.From.Whole.Start], st.Raw[st.From.Whole.End:]
}

// MessageType is the type attribute, "normal" when missing or unknown (RFC 6121 section 5.2.2).
func MessageType(st *stanza.Stanza) string {
	switch t := string(st.Get(st.Type.Value)); t {
	case "chat", "groupchat", "headline", "error":
		return t
	default:
		return "normal"
	}
}
