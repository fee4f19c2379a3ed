package session

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

const (
	// fairFrom is how many bytes wait in order of arrival; behind them senders take turns. It is little enough
	// for what is urgent to wait for.
	fairFrom = 128 << 10
	// fairTurn is what a sender may have written in its turn, and a little more than what is written at once.
	fairTurn = 16 << 10
	// fairShare of the room that is left is what one sender may have waiting: its part shrinks while the queue
	// fills (dynamic thresholds, Choudhury and Hahne, 1998), so that there is room for one more always.
	fairShare = 4
	// stuckAfter is how long nothing of a queue may be taken by the network, while more comes than fits in, before
	// its stream is given up.
	stuckAfter = 10 * time.Second
)

// turns is what waits for a trusted session that reads slowly: a queue for each account that sends to it, which are
// written in turn (deficit round robin, Shreedhar and Varghese, 1995). Stanzas have an order only between the same two
// addresses (RFC 6120 section 10.1). The mutex of its Outbox guards it.
type turns struct {
	senders map[string]*sender
	order   []*sender // those with something waiting
	bytes   int       // of stanzas
	moved   time.Time // when the network has taken something last
}

// sender is what waits from one account. The server itself, and the account that receives, are one.
type sender struct {
	name    string
	queue   []byte // stanzas, each behind its length
	head    int    // what lies before is written
	bytes   int    // of stanzas
	deficit int
}

// Trust lets the outbox grow to its own limit whatever the others hold, and has its senders take turns: it is that of
// an account, bare, that a cluster lives on. Call it behind Init.
func (o *Outbox) Trust(bare string) { o.trusted = string(stanza.AppendEscaped(nil, bare)) }

// queues reports whether the next stanza has to wait for its sender's turn. mu must be held.
func (o *Outbox) queues() bool {
	from := fairFrom
	if !o.pool.Faults.LateTurns {
		from = min(from, o.limit/fairShare) // what is being written may be as much
	}
	return o.fair() && (o.turns != nil || o.q != nil && len(o.q.b) >= from)
}

// fair reports whether senders take turns here at all.
func (o *Outbox) fair() bool { return o.trusted != "" && !o.pool.Faults.OneQueue }

// putTurn is put where senders take turns. It is called with mu held, and returns without.
func (o *Outbox) putTurn(p0, p1, p2, p3 []byte, must bool) (took Taken, owe bool) {
	n := len(p0) + len(p1) + len(p2) + len(p3)
	if o.turns == nil {
		o.turns = &turns{senders: make(map[string]*sender), moved: time.Now()}
	}
	t := o.turns
	held := o.waiting()
	s := t.sender(o.senderOf(p0, p1))
	if s.bytes+n > (o.limit-held)/fairShare && (s.bytes > 0 || held+n > o.limit) {
		switch stuck := time.Since(t.moved) > stuckAfter; {
		case stuck || must && held+n > o.limit:
			o.end(ErrOverflow)
			return Refused, false
		case !must:
			o.mu.Unlock()
			return Busy, false
		}
	}
	_ = o.charge(held, n) // counts; the budget does not bound it
	if s.bytes == 0 {
		t.senders[s.name] = s
		t.order = append(t.order, s)
	}
	s.put(n, p0, p1, p2, p3)
	t.bytes += n
	o.taken += uint64(n)
	owe = !o.owed && !o.writing // who writes goes on with it
	o.owed = o.owed || owe
	o.mu.Unlock()
	return Took, owe
}

// sender returns that of a name, which may be new.
func (t *turns) sender(name []byte) *sender {
	if s := t.senders[string(name)]; s != nil {
		return s
	}
	return &sender{name: string(name)}
}

func (s *sender) put(n int, p0, p1, p2, p3 []byte) {
	if len(s.queue)+lenSize+n > cap(s.queue) && s.head >= len(s.queue)/2 {
		s.queue = s.queue[:copy(s.queue, s.queue[s.head:])]
		s.head = 0
	}
	s.queue = binary.LittleEndian.AppendUint32(s.queue, uint32(n)) //nolint:gosec // of a stanza
	s.queue = append(append(append(append(s.queue, p0...), p1...), p2...), p3...)
	s.bytes += n
}

// next appends what is written next to dst, about most bytes.
func (t *turns) next(dst []byte, most int) []byte {
	for begin := len(dst); len(t.order) > 0 && len(dst)-begin < most; {
		s := t.order[0]
		s.deficit += fairTurn
		for s.bytes > 0 && s.deficit > 0 {
			st := s.queue[s.head+lenSize : s.head+size(s.queue[s.head:])]
			dst = append(dst, st...)
			s.head += lenSize + len(st)
			s.bytes -= len(st)
			s.deficit -= len(st)
			t.bytes -= len(st)
		}
		t.order = t.order[1:]
		if s.bytes > 0 {
			t.order = append(t.order, s)
		} else {
			delete(t.senders, s.name)
		}
	}
	return dst
}

// refill makes q of what waits for its turn. mu must be held.
func (o *Outbox) refill(most int) {
	if o.turns == nil {
		return
	}
	if o.turns.bytes == 0 { // all that came was refused
		o.turns = nil
		return
	}
	if o.q == nil {
		o.q = o.pool.get()
	}
	o.q.b = o.turns.next(o.q.b, most)
	if o.turns.bytes == 0 {
		o.turns = nil
	}
}

// flatten lets everything wait in one queue again, in the order in which it would have been written. mu must be held.
func (o *Outbox) flatten() {
	if o.turns != nil {
		o.refill(o.turns.bytes)
	}
}

// senderOf is the account that a stanza is from, as the stanza has it; "" for the server and the receiver's own.
func (o *Outbox) senderOf(p0, p1 []byte) []byte {
	from, ok := bytes.CutPrefix(p1, []byte(" from='"))
	if !ok {
		from = fromIn(p0)
	}
	if i := bytes.IndexAny(from, `'"/`); i >= 0 {
		from = from[:i]
	}
	if string(from) == o.trusted {
		return nil
	}
	return from
}

// fromIn returns what begins with the value of the attribute "from" of a start tag; nil without.
func fromIn(tag []byte) []byte {
	quote := byte(0)
	for i, c := range tag {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '>':
			return nil
		case c == '\'' || c == '"':
			if name := bytes.TrimRight(tag[:i], "= \t\r\n"); bytes.HasSuffix(name, []byte("from")) && bytes.IndexByte([]byte(" \t\r\n"), name[len(name)-5]) >= 0 {
				return tag[i+1:]
			}
			quote = c
		}
	}
	return nil
}
