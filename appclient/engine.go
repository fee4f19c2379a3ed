package appclient

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// faults are mistakes that tests seed to see themselves turn red.
type faults struct {
	newSeqOnRetry        bool // a retry is a new operation
	unknownAsUnavailable bool // an unknown outcome is told as not applied
	floorPassesLive      bool // the floor ignores what is not settled
}

// engine decides where each operation is sent and when it is sent again. It
// does no I/O: outbox.go takes from it what is to be sent, receive.go gives it
// the answers, and the sweeper the time. Everything in it belongs to mu.
type engine struct {
	mu sync.Mutex

	tryTimeout time.Duration
	maxStanza  int
	started    time.Time
	faults     faults

	doc   *ring.Document // nil until the first is fetched
	nodes map[string]*node
	parts []*partition
	pool  *sync.Pool

	live     []*call
	tags     map[uint64]*call
	lastTag  uint64
	requests map[string]*request
	prefix   string // of request ids
	lastID   uint64
	dirty    []*node
	up       bool  // there is a stream
	end      error // why no more calls are taken

	wake  func() // asks the writer to call fill
	busy  func() // tells the sweeper that there are calls
	stale func() // asks for a newer ring
	stats Stats
}

func newEngine(cfg *Config, wake, busy, stale func()) *engine {
	e := &engine{
		tryTimeout: cfg.TryTimeout,
		maxStanza:  cfg.MaxStanza,
		started:    time.Now(),
		nodes:      make(map[string]*node),
		pool:       newCallPool(),
		tags:       make(map[uint64]*call),
		requests:   make(map[string]*request),
		prefix:     strconv.FormatUint(rand.Uint64(), 36) + "-",
		wake:       wake,
		busy:       busy,
		stale:      stale,
	}
	return e
}

func (e *engine) now() time.Duration { return time.Since(e.started) }

// do carries a call through to its end or to ctx's. On return the result is in
// c, or the error is the caller's.
func (e *engine) do(ctx context.Context, c *call, root string) error {
	e.mu.Lock()
	if e.end != nil {
		err := e.end
		e.mu.Unlock()
		return err
	}
	e.stats.Operations++
	c.part = e.parts[e.doc.Partition(root)]
	e.admit(c)
	work := len(e.dirty) > 0
	e.mu.Unlock()
	if work {
		e.wake()
	}

	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	return e.abandon(c, context.Cause(ctx))
}

// abandon ends a call whose caller waits no longer.
func (e *engine) abandon(c *call, cause error) error {
	e.mu.Lock()
	if c.state != finished { // or it was answered at the last moment
		e.finish(c, e.gaveUp(c, cause))
	}
	work := len(e.dirty) > 0 // others may take its place
	e.mu.Unlock()
	if work {
		e.wake()
	}
	<-c.done
	return c.err
}

// hasWork says whether fill would find something to send.
func (e *engine) hasWork() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.dirty) > 0
}

// recycle gives a finished call back, unless a late copy is being encoded.
func (e *engine) recycle(c *call) {
	e.mu.Lock()
	reusable := c.encoding == 0
	e.mu.Unlock()
	if reusable {
		c.reset()
		e.pool.Put(c)
	}
}

// admit takes a call in and sends it on its way.
func (e *engine) admit(c *call) {
	c.index = len(e.live)
	e.live = append(e.live, c)
	if len(e.live) == 1 {
		e.busy()
	}
	if c.kind == writeCall {
		e.enroll(c)
	} else {
		e.route(c, nil)
	}
}

// enroll gives a write its session and sequence, or lets it wait for them.
func (e *engine) enroll(c *call) {
	p := c.part
	if len(p.waiting) == 0 && p.room() {
		p.assign(c)
		e.route(c, nil)
		return
	}
	c.state = waitSession
	p.waiting = append(p.waiting, c)
	if p.session == 0 && p.opening == nil {
		p.opening = e.pool.Get().(*call)
		p.opening.kind, p.opening.part = openCall, p
		e.admit(p.opening)
	}
}

// advance sends what waited for a session or for room in the window.
func (e *engine) advance(p *partition) {
	for len(p.waiting) > 0 && p.room() {
		c := p.waiting[0]
		p.waiting[0] = nil
		p.waiting = p.waiting[1:]
		p.assign(c)
		e.route(c, nil)
	}
	if len(p.waiting) > 0 && p.session == 0 && p.opening == nil {
		waiting := p.waiting
		p.waiting = nil
		for _, c := range waiting {
			e.enroll(c)
		}
	}
}

// route puts a call into the queue of the node to ask next; failed is the one
// that was asked last, in vain. With nobody to ask it waits.
func (e *engine) route(c *call, failed *node) {
	n := c.part.candidate(failed, e.now())
	if n == nil || !e.up {
		e.pause(c)
		return
	}
	c.state, c.node = waitFlush, n
	l := &n.lanes[c.lane()]
	l.queue = append(l.queue, c)
	if l.slots < maxSlots {
		e.mark(n)
	}
}

// mark notes that there is something to send to a node.
func (e *engine) mark(n *node) {
	if !n.dirty {
		n.dirty = true
		e.dirty = append(e.dirty, n)
	}
}

// The pauses between tries when an immediate one makes no sense.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = 100 * time.Millisecond
	freeTries  = 3 // tries without a pause, for redirects
)

// pause lets a call wait before it is routed again, longer after each try,
// with jitter.
func (e *engine) pause(c *call) {
	d := min(firstPause<<min(c.tries, 8), maxPause)
	c.state = waitRetry
	c.due = e.now() + d/2 + rand.N(d/2+1)
}

// again routes a call whose last try at failed came to nothing.
func (e *engine) again(c *call, failed *node, atOnce bool) {
	e.stats.Retries++
	if e.faults.newSeqOnRetry && c.kind == writeCall {
		c.part.settle(c.write.Session, c.write.Seq)
		c.part.assign(c)
	}
	if atOnce {
		e.route(c, failed)
		return
	}
	// The pause is for everybody; whom to ask is decided after it.
	c.node = failed
	e.pause(c)
}

// unqueue takes a call out of wherever it waits.
func (e *engine) unqueue(c *call) {
	switch c.state {
	case waitSession:
		for i, w := range c.part.waiting {
			if w == c {
				c.part.waiting = append(c.part.waiting[:i], c.part.waiting[i+1:]...)
				break
			}
		}
	case waitFlush:
		c.node.lanes[c.lane()].remove(c)
	}
}

// finish ends a call: no more copies are sent, and its caller is woken.
func (e *engine) finish(c *call, err error) {
	e.unqueue(c)
	for _, t := range c.open {
		delete(e.tags, t.tag)
	}
	last := len(e.live) - 1
	e.live[c.index] = e.live[last]
	e.live[c.index].index = c.index
	e.live[last] = nil
	e.live = e.live[:last]
	c.state, c.err = finished, err
	if c.kind == openCall {
		e.opened(c)
		return
	}
	if c.kind == writeCall && c.write.Seq != 0 {
		c.part.settle(c.write.Session, c.write.Seq)
		e.advance(c.part)
	}
	c.done <- struct{}{}
}

// opened takes the outcome of an open: a session, or the end of everything
// that waits for one.
func (e *engine) opened(c *call) {
	p := c.part
	p.opening = nil
	if c.err == nil && c.wres.Code == op.OK {
		p.begin(c.wres.Session)
	} else if c.err != nil {
		waiting := p.waiting
		p.waiting = nil
		for _, w := range waiting {
			w.state = waitRetry // no longer in the list
			e.finish(w, c.err)
		}
	}
	e.advance(p)
}

// gaveUp is the error of a call whose caller waits no longer.
func (e *engine) gaveUp(c *call, cause error) error {
	kind := ErrUnavailable
	not := ""
	switch {
	case c.kind != writeCall:
	case c.uncertain() && !e.faults.unknownAsUnavailable:
		kind = ErrUnknownOutcome
	default:
		not = "; the write was not applied"
	}
	stuck := c
	if o := c.part.opening; c.state == waitSession && o != nil {
		stuck = o // what kept the session from being opened
	}
	return fmt.Errorf("%w: %s (%d tries)%s: %w", kind, e.missing(stuck), stuck.tries, not, cause)
}

// missing says what kept a call from being answered.
func (e *engine) missing(c *call) string {
	last := c.why
	if last == "" && c.state == waitAnswer && c.node != nil {
		last = "no answer from " + c.node.jid
	}
	online := 0
	for _, n := range c.part.replicas {
		if n.online {
			online++
		}
	}
	all := len(c.part.replicas)
	switch {
	case !e.up:
		return "no stream to the XMPP server"
	case online == 0:
		return fmt.Sprintf("none of the %d replicas of partition %d is available", all, c.part.id)
	case 2*online <= all:
		lost := fmt.Sprintf("partition %d has lost its majority and so its leader: %d of its %d replicas available", c.part.id, online, all)
		if last == "" {
			return lost
		}
		return lost + "; " + last
	case last != "":
		return last
	case c.state == waitSession:
		return fmt.Sprintf("too many writes under way in partition %d", c.part.id)
	}
	return "no answer yet"
}

// shut ends everything with an error of the given cause; no call is taken
// after it.
func (e *engine) shut(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.end != nil {
		return
	}
	e.end = cause
	for _, p := range e.parts {
		if p.opening != nil {
			e.finish(p.opening, cause)
		}
	}
	for len(e.live) > 0 {
		c := e.live[len(e.live)-1]
		err := cause
		if c.kind == writeCall && c.uncertain() && !e.faults.unknownAsUnavailable {
			// Words only of the cause: it may be a kind that says "surely not applied".
			err = fmt.Errorf("%w: %v", ErrUnknownOutcome, cause)
		}
		e.finish(c, err)
	}
}
