package session

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// NSAck is the namespace of stream management (XEP-0198, version 1.6).
const NSAck = "urn:xmpp:sm:3"

const askAck = "<r xmlns='" + NSAck + "'/>"

// AckPolicy says how the stanzas of sessions that acknowledge are kept. Sessions share one; it does
// not change while they use it.
type AckPolicy struct {
	Stanzas  int // that may be kept for one session, besides the limit of its queue in bytes
	Every    int // stanzas after which an acknowledgement is asked for at once
	Patience int // ticks of Watch that a client has to answer when asked
	Watch    *Watch
	Faults   AckFaults
}

// AckFaults are bugs that tests plant, to see that a test would notice them.
type AckFaults struct {
	KeepNothing bool // what the transport has taken is forgotten
	IgnoreH     bool // all is sent again after a resumption, whatever the client has
	TwoWriters  bool // a transport is taken over while somebody writes to it
	AckEarly    bool // what waits counts as handled
	LeaveOpen   bool // a session goes on while stanzas of its client wait
}

// Errors of stream management.
var (
	// ErrGone: there is no such session any more, or its stanzas are not kept.
	ErrGone = errors.New("session is gone")
	// ErrExpired: the client did not come back in time.
	ErrExpired = errors.New("session was not resumed in time")
)

// AckError is an acknowledgement of more than was sent (XEP-0198 section 4).
type AckError struct{ H, Sent uint32 }

func (e *AckError) Error() string {
	return fmt.Sprintf("%d stanzas are acknowledged, %d were sent", e.H, e.Sent)
}

// place is where the outbox of a session that acknowledges stands.
type place uint8

const (
	attached place = iota // has a transport
	leaving               // has one, and somebody waits for it to be given up
	detached              // has none, and waits for one
	claimed               // has none, and is about to get one
)

// acks is what is known of a stream whose client acknowledges stanzas. The mutex of its Outbox
// guards it.
type acks struct {
	policy *AckPolicy
	id     string // by which the client finds its session again
	base   uint32 // Session.In when acknowledging began
	start  uint64 // Outbox.taken then

	kept  *chunk // stanzas that are not acknowledged, each behind its length; nil: none
	head  int    // what lies before is acknowledged
	count uint32 // stanzas kept
	acked uint64 // stanzas acknowledged
	waits []wait // calls of After, at counts of acked

	open  []uint32      // of the client's stanzas, by Session.In: routed and not handled yet, in order
	owes  bool          // the client has asked when not all were handled, and is told once they are
	wants uint32        // Session.In then
	quiet chan struct{} // closed when open is empty; nil: nobody waits

	since   int  // stanzas since an acknowledgement was asked for
	asked   bool // and none has come
	age     int  // ticks since then, or since the transport was lost
	watched bool // listed by policy.Watch

	place   place
	cut     bool          // nothing is written: the transport is lost or about to be
	seconds int           // ticks to wait for the client to come back; 0: not at all
	given   chan struct{} // closed when the transport is given up; nil: nobody waits
	orphan  func()        // ends the session when it is detached and must end
	parting []byte        // last words when the transport is given up, instead of Detach's

	// Of a session that another server gets.
	forward func(raw []byte) error // nil: this is none
	unsent  [][]byte               // that forward has failed for
	settled bool                   // the other server has it
}

const lenSize = 4 // bytes of a length before a stanza

// size is that of the first stanza that is kept, its length included.
func size(kept []byte) int { return lenSize + int(binary.LittleEndian.Uint32(kept)) }

// room reports whether one more stanza of n bytes may be kept.
func (a *acks) room(n, limit int) bool {
	return a.count == 0 || int(a.count) < a.policy.Stanzas && a.bytes()+n <= limit
}

// bytes is the size of the stanzas that are kept.
func (a *acks) bytes() int {
	if a.kept == nil {
		return 0
	}
	return len(a.kept.b) - a.head - lenSize*int(a.count)
}

// keep appends a stanza to what is kept.
func (a *acks) keep(pool *Pool, p0, p1, p2, p3 []byte) {
	n := len(p0) + len(p1) + len(p2) + len(p3)
	if a.kept == nil {
		a.kept = pool.get()
	}
	k := a.kept
	if a.head > 0 && len(k.b)+lenSize+n > cap(k.b) && a.head >= len(k.b)/2 {
		k.b = k.b[:copy(k.b, k.b[a.head:])]
		a.head = 0
	}
	k.b = binary.LittleEndian.AppendUint32(k.b, uint32(n)) //nolint:gosec // of a stanza
	k.b = append(append(append(append(k.b, p0...), p1...), p2...), p3...)
	a.count++
}

// drop forgets the first n stanzas that are kept: they are acknowledged.
func (a *acks) drop(pool *Pool, n uint32) {
	for range n {
		a.head += size(a.kept.b[a.head:])
	}
	a.count -= n
	a.acked += uint64(n)
	if a.count == 0 && a.kept != nil {
		pool.put(a.kept)
		a.kept, a.head = nil, 0
	}
}

// appendKept appends the stanzas that are kept, in order.
func (a *acks) appendKept(dst []byte) []byte {
	if a.kept == nil {
		return dst
	}
	for b := a.kept.b[a.head:]; len(b) > 0; b = b[size(b):] {
		dst = append(dst, b[lenSize:size(b)]...)
	}
	return dst
}

// ack takes note that the client has handled h stanzas, counted modulo 2^32 since the beginning.
// Old news, such as of a client that has said more before, is no error.
func (a *acks) ack(pool *Pool, h uint32) error {
	n := h - uint32(a.acked) //nolint:gosec // modulo 2^32
	if n > a.count {
		if uint64(-n) <= a.acked {
			return nil
		}
		return &AckError{H: h, Sent: uint32(a.acked) + a.count} //nolint:gosec // modulo 2^32
	}
	a.drop(pool, n)
	return nil
}

// acks returns the account of what is acknowledged; nil for most sessions.
func (o *Outbox) acks() *acks {
	if o.opt == nil {
		return nil
	}
	return o.opt.acks
}

// add appends a stanza to what is kept and to the queue. It reports whether the caller now owes a
// Flush.
func (o *Outbox) add(p0, p1, p2, p3 []byte) (owe bool) {
	a := o.opt.acks
	if a == nil {
		return o.queue(p0, p1, p2, p3)
	}
	if !a.policy.Faults.KeepNothing || a.cut {
		a.keep(o.pool, p0, p1, p2, p3)
	}
	if a.cut {
		return false
	}
	owe = o.queue(p0, p1, p2, p3)
	if a.since++; a.since >= a.policy.Every {
		o.ask(a)
	}
	if !a.watched {
		a.watched = true
		a.policy.Watch.add(o)
	}
	return owe
}

// ask puts a request for an acknowledgement into the queue.
func (o *Outbox) ask(a *acks) (owe bool) {
	if !a.asked {
		a.asked, a.age = true, 0
	}
	a.since = 0
	return o.queue([]byte(askAck), nil, nil, nil)
}

// closeKept is Close where stanzas are kept: what was queued before that began, and is not written,
// and what is not acknowledged.
func (o *Outbox) closeKept() (left [][]byte, written int) {
	a := o.opt.acks
	if o.w != nil && o.gone < a.start {
		left, written = append(left, o.w.b[:min(uint64(len(o.w.b)), a.start-o.gone)]), o.off
		o.gone += uint64(len(o.w.b))
	}
	if o.q != nil && o.gone < a.start {
		left = append(left, o.q.b[:min(uint64(len(o.q.b)), a.start-o.gone)])
	}
	if a.count > 0 {
		left = append(left, a.appendKept(make([]byte, 0, a.bytes())))
		o.pool.put(a.kept)
	}
	a.kept, a.head, a.count, a.waits = nil, 0, 0, nil
	o.q, o.w = nil, nil
	a.gone()
	return left, written
}

// EnableAcks begins to keep stanzas until the client acknowledges them, behind reply, which goes
// out first. id names the session to a client that wants to resume it within some seconds; 0 for one
// that does not. It reports false if stanzas are kept already. The goroutine that routes the
// session's stream calls it.
func (b *Batch) EnableAcks(s *Session, p *AckPolicy, id string, seconds int, reply []byte) bool {
	o := &s.Out
	o.mu.Lock()
	if o.acks() != nil {
		o.mu.Unlock()
		return false
	}
	owe := o.drain()
	owe = !o.closed && o.queue(reply, nil, nil, nil) || owe
	o.options().acks = &acks{policy: p, id: id, base: s.In, start: o.taken, seconds: seconds}
	o.mu.Unlock()
	b.owe(o, owe)
	return true
}

func (o *Outbox) options() *options {
	if o.opt == nil {
		o.flatten() // what has an order to keep is put into one queue from now on
		o.opt = new(options)
	}
	return o.opt
}

// Ack takes note that the client has handled h stanzas since EnableAcks, modulo 2^32. The error is
// an *AckError, or ErrGone if stanzas are not kept.
func (o *Outbox) Ack(h uint32) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.acks()
	if a == nil {
		return ErrGone
	}
	a.asked, a.age = false, 0
	err := a.ack(o.pool, h)
	if o.counted > 0 {
		o.recount()
	}
	o.passed()
	return err
}

// SendNonza appends an element that is no stanza to the queue of a session: it is neither counted
// nor kept, and dropped if the session has no transport.
func (b *Batch) SendNonza(s *Session, el []byte) {
	o := &s.Out
	o.mu.Lock()
	a := o.acks()
	owe := false
	if !o.closed && (a == nil || !a.cut) {
		owe = o.queue(el, nil, nil, nil)
	}
	o.mu.Unlock()
	b.owe(o, owe)
}

// Unacked tells what is kept: stanzas and their bytes.
func (o *Outbox) Unacked() (stanzas, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a := o.acks(); a != nil {
		return int(a.count), a.bytes()
	}
	return 0, 0
}
