package session

import (
	"errors"
	"sync"
	"time"
)

// Transport writes the bytes of one stream. Its methods are called by one goroutine at a time,
// Abort excepted.
type Transport interface {
	// TryWrite hands p to the network without waiting for the peer. n bytes are known to be with
	// the kernel; pending says that the rest is kept by the transport, in which case p must stay
	// untouched until Finish has returned.
	TryWrite(p []byte) (n int, pending bool, err error)
	// Finish waits until the p of a pending TryWrite is written, and returns how many bytes of it
	// are, those of TryWrite included.
	Finish() (n int, err error)
	// Abort makes a Finish under way, all later writes, and the reader of the stream return soon.
	Abort()
}

// A Gate is a Transport that can't write at times, since its peer has to ask for bytes. Whoever
// makes it ready calls Flush.
type Gate interface {
	Transport
	// Ready reports whether TryWrite may be called. It doesn't wait.
	Ready() bool
}

// A Keeper is a Transport whose writes are no proof that the peer has got them: it keeps what it was
// given until it knows.
type Keeper interface {
	Transport
	// Kept returns what the peer may not have got, as runs of whole stanzas, oldest first. It is
	// called once, when the stream has ended.
	Kept() [][]byte
}

// Errors that end an Outbox.
var (
	// ErrOverflow: the peer reads more slowly than stanzas come in for it.
	ErrOverflow = errors.New("peer does not read: queue is full")
	// ErrClosed: the stream has ended.
	ErrClosed = errors.New("stream is closed")
)

// A chunk is a run of whole stanzas. Chunks are pooled: a session without output holds none.
type chunk struct{ b []byte }

const (
	chunkSize = 4 << 10   // first size
	chunkKeep = 512 << 10 // larger ones are left to the garbage collector
	// pushAt is written without waiting for a Flush: more would save next to nothing, and the peer could
	// be reading.
	pushAt = 64 << 10
)

// Outbox is the bounded queue of bytes that wait to be written to one stream.
//
// Senders append whole stanzas and never wait. Whoever makes an empty queue non-empty owes it a
// Flush (a Batch keeps that account), which writes all that has come together since, in one system
// call when the kernel takes it. If the kernel does not, a goroutine of the outbox waits in the
// sender's stead.
//
// A client can ask for more: that stanzas are kept until it acknowledges them, and outlive the
// transport (acks, in ack.go and attach.go), or that some are held back (Filter).
type Outbox struct {
	pool    *Pool
	t       Transport
	gate    Gate              // t, if it is one
	limit   int               // bytes waiting, the chunk being written included
	spawn   func(func()) bool // starts a goroutine that the server waits for; false while it closes
	trusted string            // not "": the account, which the pool's budget does not bound

	mu      sync.Mutex
	idle    sync.Cond // signalled when writing turns false
	q       *chunk    // waiting
	turns   *turns    // behind q; nil unless q is long, see fair.go
	w       *chunk    // being written
	off     int       // bytes of w that are written
	owed    bool      // somebody owes a Flush
	writing bool
	counted int      // bytes of what is held that are in the pool's total
	stalled bool     // the writer waits for the network
	closed  bool     // nothing more is taken in
	reason  error    // why it was closed by somebody else than its reader
	err     error    // first failure of the transport
	opt     *options // nil for most: nothing of it is used
	waits   []wait   // calls of After, at counts of gone
	taken   uint64   // bytes taken in, ever
	gone    uint64   // bytes of whole chunks written, ever
}

// wait is a call of After.
type wait struct {
	at uint64 // of taken
	f  func()
}

// Init prepares an outbox. limit is in bytes; spawn must run its argument on a new goroutine that
// the owner waits for, or report false.
func (o *Outbox) Init(pool *Pool, t Transport, limit int, spawn func(func()) bool) {
	o.pool, o.limit, o.spawn = pool, limit, spawn
	o.use(t)
	o.idle.L = &o.mu
}

// use makes t, which may be nil, the transport.
func (o *Outbox) use(t Transport) {
	o.t = t
	o.gate, _ = t.(Gate)
}

// options is what only some sessions use.
type options struct {
	acks   *acks
	filter Filter
}

// Taken is what a session has done with a stanza.
type Taken uint8

const (
	// Took: it is queued.
	Took Taken = iota
	// Refused: the session takes nothing more. The stanza is undelivered.
	Refused
	// Busy: too much of its sender waits already. The stanza is undelivered; later ones may be taken.
	Busy
)

// put appends a stanza given in up to four pieces. owe is true if the caller now owes a Flush. One that must
// not go back is never told that the queue is busy.
func (o *Outbox) put(p0, p1, p2, p3 []byte, must bool) (took Taken, owe bool) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return Refused, false
	}
	n := len(p0) + len(p1) + len(p2) + len(p3)
	if o.opt != nil {
		return o.putOptions(n, p0, p1, p2, p3)
	}
	if o.queues() {
		return o.putTurn(p0, p1, p2, p3, must)
	}
	if err := o.room(n); err != nil {
		if o.fair() && !o.pool.Faults.LateTurns {
			return o.putTurn(p0, p1, p2, p3, must)
		}
		o.end(err)
		return Refused, false
	}
	owe = o.queue(p0, p1, p2, p3)
	if len(o.q.b) >= pushAt && !o.writing {
		o.writing = true
		o.write()
		return Took, false
	}
	o.mu.Unlock()
	return Took, owe
}

// putOptions is put where there are options. It is called with mu held, and returns without.
func (o *Outbox) putOptions(n int, p0, p1, p2, p3 []byte) (took Taken, owe bool) {
	if a := o.opt.acks; a != nil && a.forward != nil {
		took = Took
		if !o.pass(a, p0, p1, p2, p3) {
			took = Refused
		}
		o.mu.Unlock()
		return took, false
	}
	if o.opt.filter != nil {
		var held bool
		if held, owe = o.hold(p0, p1, p2, p3); held {
			o.mu.Unlock()
			return Took, owe
		}
	}
	if err := o.room(n); err != nil {
		o.end(err)
		return Refused, owe
	}
	owe = o.add(p0, p1, p2, p3) || owe
	o.mu.Unlock()
	return Took, owe
}

// queue appends an element to what is going to be written.
func (o *Outbox) queue(p0, p1, p2, p3 []byte) (owe bool) {
	c := o.q
	if c == nil {
		c = o.pool.get()
		o.q = c
	}
	c.b = append(append(append(append(c.b, p0...), p1...), p2...), p3...)
	o.taken += uint64(len(p0) + len(p1) + len(p2) + len(p3))
	owe = !o.owed
	o.owed = true
	return owe
}

// Flush writes what waits. It returns without having written everything if another goroutine is
// writing (that one goes on until the queue is empty) or if the kernel's buffer is full.
func (o *Outbox) Flush() {
	o.mu.Lock()
	o.owed = false
	if o.writing || o.q == nil && o.turns == nil {
		o.mu.Unlock()
		return
	}
	o.writing = true
	o.write()
}

// shut reports that nothing can be written now. mu must be held.
func (o *Outbox) shut() bool { return o.gate != nil && !o.gate.Ready() }

// write empties the queue. It is called with mu held and writing set, and returns without mu.
func (o *Outbox) write() {
	for (o.q != nil || o.turns != nil) && o.err == nil && !o.shut() {
		if o.q == nil {
			o.refill(pushAt)
			continue
		}
		o.w, o.q, o.off = o.q, nil, 0
		o.owed = false
		w := o.w
		o.mu.Unlock()
		n, pending, err := o.t.TryWrite(w.b)
		o.mu.Lock()
		o.off = n
		if err == nil && pending {
			if !o.leaving() && o.spawn(o.finish) {
				o.stalled = true
				o.mu.Unlock()
				return
			}
			err = ErrClosed
		}
		o.written(err)
	}
	o.writing = false
	o.idle.Broadcast()
	o.mu.Unlock()
}

// finish waits for the network, then carries on with what has come together meanwhile.
func (o *Outbox) finish() {
	n, err := o.t.Finish()
	o.mu.Lock()
	o.stalled = false
	o.off = n
	o.written(err)
	o.write()
}

func (o *Outbox) written(err error) {
	if err != nil {
		if o.err == nil {
			o.err = err
		}
		if !o.cut() {
			o.closed = true
		}
		return
	}
	o.gone += uint64(len(o.w.b))
	o.pool.put(o.w)
	o.w, o.off = nil, 0
	if o.turns != nil {
		o.turns.moved = time.Now()
	}
	if o.counted > 0 {
		o.recount()
	}
	o.passed()
}

// After runs f, in a goroutine that the server waits for, once everything taken in up to now is
// with the network, or acknowledged by a client that acknowledges. If the outbox ends before, f is
// not run.
func (o *Outbox) After(f func()) {
	o.mu.Lock()
	o.flatten()
	owe := o.drain()
	if a := o.acks(); a != nil && a.settled {
		o.spawn(f) // another server answers for it
	} else if a != nil {
		a.waits = append(a.waits, wait{a.acked + uint64(a.count), f})
	} else {
		o.waits = append(o.waits, wait{o.taken, f})
	}
	o.passed()
	o.mu.Unlock()
	if owe {
		o.Flush()
	}
}

// passed starts what waited for what is written or acknowledged. mu must be held.
func (o *Outbox) passed() {
	o.waits = o.start(o.waits, o.gone)
	if a := o.acks(); a != nil {
		a.waits = o.start(a.waits, a.acked)
	}
}

// start starts what has waited for less than has been reached, and returns what still waits.
func (o *Outbox) start(waits []wait, reached uint64) []wait {
	for len(waits) > 0 && waits[0].at <= reached && o.spawn(waits[0].f) {
		waits = waits[1:]
	}
	if len(waits) == 0 {
		return nil
	}
	return waits
}

// Finish takes in the last bytes of the stream and waits until everything is written or the time
// is over; it reports whether all of it was. Nothing else is taken in from then on.
func (o *Outbox) Finish(last []byte, wait time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.flatten()
	if o.q == nil {
		o.q = o.pool.get()
	}
	o.q.b = append(o.q.b, last...)
	if !o.writing && o.err == nil {
		o.writing = true
		o.write()
		o.mu.Lock()
	}
	if o.writing {
		t := time.AfterFunc(wait, o.t.Abort)
		for o.writing {
			o.idle.Wait()
		}
		t.Stop()
	}
	return o.q == nil && o.w == nil
}

// Fail refuses everything from now on, and ends the stream: the goroutine that reads it finds out
// and cleans up. Reason will return err, if it is the first one.
func (o *Outbox) Fail(err error) {
	o.mu.Lock()
	o.end(err)
}

// end is Fail, called with mu held; it returns without.
func (o *Outbox) end(err error) {
	if o.reason == nil {
		o.reason = err
	}
	if a := o.acks(); a != nil && a.forward != nil {
		o.mu.Unlock() // it is another server's, or TakeBack ends it
		return
	}
	o.closed = true
	t, orphan := o.t, o.orphan()
	o.mu.Unlock()
	if t != nil {
		t.Abort()
	}
	if orphan != nil {
		o.spawn(orphan)
	}
}

// Reason tells why the stream was ended by Fail or by ErrOverflow, or what writing to it has
// failed with; nil while nothing of it has happened.
func (o *Outbox) Reason() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reason != nil {
		return o.reason
	}
	return o.err
}

// Kept is what a transport that is a Keeper has kept; nil of another, and where the client
// acknowledges stanzas: then Close returns them. Call it behind Close.
func (o *Outbox) Kept() [][]byte {
	o.mu.Lock()
	k, ok := o.t.(Keeper)
	acks := o.acks()
	o.mu.Unlock()
	if !ok || acks != nil {
		return nil
	}
	return k.Kept()
}

// Close ends the outbox and returns what was not written, or what was not acknowledged if the
// client acknowledges: runs of whole stanzas, with the number of bytes at the beginning of the first
// that the kernel had taken. The transport must have been aborted, or be idle.
func (o *Outbox) Close() (left [][]byte, written int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.count(0)
	o.closed = true
	for o.writing {
		o.idle.Wait()
	}
	o.flatten()
	o.drain()
	if o.acks() != nil {
		return o.closeKept()
	}
	if o.w != nil {
		left, written = append(left, o.w.b), o.off
		o.w = nil
	}
	if o.q != nil {
		left = append(left, o.q.b)
		o.q = nil
	}
	return left, written
}
