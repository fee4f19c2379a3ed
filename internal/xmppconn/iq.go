package xmppconn

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// StanzaError is an answer of type error (RFC 6120 section 8.3).
type StanzaError struct {
	From      string // who answered
	Type      string // cancel, continue, modify, auth, wait
	Condition string
	Text      string
	App       []byte // what an application has added (section 8.3.4), the first of it; nil: nothing
}

func (e *StanzaError) Error() string {
	s := e.From + " answered with the error " + e.Condition
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// ParseError reads the <error/> of a stanza of type error.
func ParseError(st *stanza.Stanza) *StanzaError {
	e := &StanzaError{From: st.AttrString(st.From), Condition: "undefined-condition"}
	p := stanza.Parse(st.Raw)
	inError, inText := false, false
	for {
		switch p.Next() {
		case stanza.EOF:
			return e
		case stanza.Start:
			name := string(p.Name())
			switch {
			case p.Depth() == 2:
				if inError = name == "error"; inError {
					if t, ok := p.Attr("type"); ok {
						e.Type = string(t)
					}
				}
			case p.Depth() == 3 && inError && string(p.NS()) == "urn:ietf:params:xml:ns:xmpp-stanzas":
				if inText = name == "text"; !inText {
					e.Condition = name
				}
			case p.Depth() == 3 && inError && e.App == nil:
				e.App = bytes.Clone(p.Element())
			}
		case stanza.Text:
			if inText {
				e.Text += string(p.Text())
			}
		case stanza.End:
			inText = false
		}
	}
}

// IQs sends IQs and matches their answers by sender and id. The zero value is
// ready. Safe for concurrent use; outlives its connections.
type IQs struct {
	mu     sync.Mutex
	prefix string // ids cannot be guessed by whoever else may write to us
	count  uint64
	wait   map[string]*iqWait
}

type iqWait struct {
	from  []string // acceptable senders
	reply chan iqReply
}

type iqReply struct {
	child []byte
	err   error
}

// Do sends an IQ with payload to a JID ("" is the own account) and waits for
// its answer. It returns a copy of the result's child element, nil if it has
// none. Errors: *StanzaError when the answer is an error, ErrClosed when the
// stream ended before it came, ErrOverflow, ctx's error. Must not be called
// from a Handler.
func (q *IQs) Do(ctx context.Context, c *Conn, to, typ string, payload []byte) (child []byte, err error) {
	w := &iqWait{reply: make(chan iqReply, 1)}
	if to == "" {
		w.from = []string{"", c.jid.Bare().String(), c.full, c.jid.Domain}
	} else {
		j, err := stanza.ParseJID(to)
		if err != nil {
			return nil, fmt.Errorf("iq to %q: %w", to, err)
		}
		w.from = []string{j.String()}
	}
	id := q.register(w)
	defer q.forget(id)

	b := append(make([]byte, 0, len(payload)+len(to)+64), `<iq`...)
	b = stanza.AppendAttr(b, "type", typ)
	b = stanza.AppendAttr(b, "id", id)
	if to != "" {
		b = stanza.AppendAttr(b, "to", to)
	}
	b = append(b, '>')
	b = append(b, payload...)
	b = append(b, `</iq>`...)
	if err := c.Send(b); err != nil {
		return nil, fmt.Errorf("iq to %q: %w", to, err)
	}
	select {
	case r := <-w.reply:
		return r.child, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer from %q: %w", to, context.Cause(ctx))
	}
}

func (q *IQs) register(w *iqWait) (id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wait == nil {
		q.wait = make(map[string]*iqWait)
		q.prefix = rand.Text()[:12] + "-"
	}
	q.count++
	id = q.prefix + strconv.FormatUint(q.count, 36)
	q.wait[id] = w
	return id
}

func (q *IQs) forget(id string) {
	q.mu.Lock()
	delete(q.wait, id)
	q.mu.Unlock()
}

// Handle takes an IQ result or error that answers a Do and reports whether it
// did. An answer from somebody else than was asked is none. Call it from
// Handler.Stanza.
func (q *IQs) Handle(st *stanza.Stanza) bool {
	if st.Kind != stanza.IQ {
		return false
	}
	typ := string(st.Get(st.Type.Value))
	if typ != "result" && typ != "error" {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	id := string(st.Get(st.ID.Value))
	w, ok := q.wait[id]
	if !ok || !w.accepts(st.AttrString(st.From)) {
		return false
	}
	delete(q.wait, id)
	if typ == "error" {
		w.reply <- iqReply{err: ParseError(st)}
	} else {
		w.reply <- iqReply{child: bytes.Clone(st.Get(st.Child))}
	}
	return true
}

func (w *iqWait) accepts(from string) bool {
	for _, f := range w.from {
		if f == from {
			return true
		}
	}
	return false
}

// Down fails everything that waits with ErrClosed. Call it from Handler.Down.
func (q *IQs) Down() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, w := range q.wait {
		delete(q.wait, id)
		w.reply <- iqReply{err: ErrClosed}
	}
}
