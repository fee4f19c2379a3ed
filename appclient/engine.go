package appclient

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/ring"
)

// faults are mistakes that tests seed to see themselves turn red.
type faults struct {
	newSeqOnRetry        bool // a retry is a new operation
	unknownAsUnavailable bool // an unknown outcome is told as not applied
	floorPassesLive      bool // the floor ignores what is not settled
	floorPassesUnknown   bool // the floor ignores writes of unknown outcome
	mergedTooEarly       bool // an increment is told before the store has it
	watchMixesUp         bool // a watch by revision goes on by position in the midst of an entry
	watchSkips           bool // a watch takes up all partitions but one where a token says
	watchUnheard         bool // a watch of an index begins where a partition has not heard of that
	updateUnchecked      bool // a transaction commits without its reads being checked
	ownConditionFirst    bool // a condition of its own ends a transaction, though what it has read has changed
	watchesAbandoned     bool // nodes are not told that a watch has ended
	fullIsFinal          bool // the first node without room ends a write
	anySize              bool // batches that no node takes are sent
	largeRefused         bool // what does not fit an IQ is not read by message
	watchAnywhere        bool // a watch that is sent to the leader asks anybody
	anyTermConfirms      bool // a Get is confirmed by whatever term another replica says
	streamLostWaits      bool // what was sent by a stream that ended waits for its time-out
	vagueAccepted        bool // a revision is believed while expired objects wait for their removal
}

// engine decides where each operation is sent and when it is sent again. It
// does no I/O: outbox.go takes from it what is to be sent, receive.go gives it
// the answers, and the sweeper the time. Everything in it belongs to mu.
type engine struct {
	mu sync.Mutex

	tryTimeout time.Duration
	fullFor    time.Duration // as the constant, but in tests
	maxStanza  int
	zone       string
	started    time.Time
	faults     faults

	doc     *ring.Document // nil until the first is fetched
	logTime int64          // the highest that an answer told, milliseconds since 1970
	nodes   map[string]*node
	parts   []*partition
	pool    *sync.Pool

	live      []*call
	parked    []*call // those that wait for events
	parkedAt  time.Duration
	merging   map[counter]*call
	answers   answerSize
	tags      map[uint64]*call
	lastTag   uint64
	requests  map[string]*request
	questions map[string]*question // by the id of the IQ
	prefix    string               // of request ids
	lastID    uint64
	dirty     []*node
	ups       [2]bool         // which streams there are
	used      int             // the stream in use
	heard     [2]atomic.Int64 // when something last came by each, on the engine's clock
	end       error           // why no more calls are taken

	wake  func() // asks the writer to call fill
	busy  func() // tells the sweeper that there are calls
	stale func() // asks for a newer ring
	stats Stats
}

func newEngine(cfg *Config, wake, busy, stale func()) *engine {
	e := &engine{
		tryTimeout: cfg.TryTimeout,
		fullFor:    fullFor,
		maxStanza:  cfg.MaxStanza,
		zone:       cfg.Zone,
		started:    time.Now(),
		nodes:      make(map[string]*node),
		pool:       newCallPool(),
		merging:    make(map[counter]*call),
		tags:       make(map[uint64]*call),
		requests:   make(map[string]*request),
		questions:  make(map[string]*question),
		prefix:     strconv.FormatUint(rand.Uint64(), 36) + "-",
		wake:       wake,
		busy:       busy,
		stale:      stale,
	}
	return e
}

func (e *engine) now() time.Duration { return time.Since(e.started) }

// partitionOf returns the partition of a root. The number of partitions never
// changes, and there is a ring once Dial has returned.
func (e *engine) partitionOf(root string) uint32 {
	return uint32(ring.Hash(root) % uint64(len(e.parts)))
}

// do carries a call through to its end or to ctx's. On return the result is in
// c, or the error is the caller's.
func (e *engine) do(ctx context.Context, c *call, partition uint32) error {
	if err := e.submit(c, partition); err != nil {
		return err
	}
	return e.wait(ctx, c)
}

// submit sends a call on its way. After an error there is nothing to wait for.
func (e *engine) submit(c *call, partition uint32) error {
	e.mu.Lock()
	if e.end != nil {
		err := e.end
		e.mu.Unlock()
		return err
	}
	e.stats.Operations++
	c.part = e.parts[partition]
	e.admit(c)
	work := len(e.dirty) > 0
	e.mu.Unlock()
	if work {
		e.wake()
	}
	return nil
}

// wait returns when a submitted call has ended, or with ctx.
func (e *engine) wait(ctx context.Context, c *call) error {
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

// list is where a call that has not ended is kept.
func (e *engine) list(c *call) *[]*call {
	if c.kind == readCall && c.lane() == watches {
		return &e.parked
	}
	return &e.live
}

// admit takes a call in and sends it on its way.
func (e *engine) admit(c *call) {
	l := e.list(c)
	c.index = len(*l)
	*l = append(*l, c)
	if len(*l) == 1 {
		e.busy()
	}
	switch {
	case c.given:
		e.useGiven(c)
	case c.kind == writeCall, c.kind == reserveCall:
		e.enroll(c)
	default:
		e.route(c, nil)
	}
}

// enroll gives a write its session and sequence, or lets it wait for them.
func (e *engine) enroll(c *call) {
	p := c.part
	if len(p.waiting) == 0 && p.room(e.now()) {
		e.begin(c)
		return
	}
	c.state = waitSession
	p.waiting = append(p.waiting, c)
	if p.session == nil && p.opening == nil {
		p.opening = e.pool.Get().(*call)
		p.opening.kind, p.opening.part = openCall, p
		e.admit(p.opening)
	}
}

// begin gives a write its sequence and sends it on its way.
func (e *engine) begin(c *call) {
	c.part.assign(c)
	if c.kind == reserveCall {
		e.finish(c, nil)
		return
	}
	e.route(c, nil)
}

// advance sends what waited for a session or for room in it.
func (e *engine) advance(p *partition) {
	for len(p.waiting) > 0 && p.room(e.now()) {
		c := p.waiting[0]
		p.waiting[0] = nil
		p.waiting = p.waiting[1:]
		c.state = waitRetry // no longer in the list
		e.begin(c)
	}
	if len(p.waiting) > 0 && p.session == nil && p.opening == nil {
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
	n := e.choose(c, failed)
	if n == nil {
		e.pause(c)
		return
	}
	c.state, c.node = waitFlush, n
	lane := c.lane()
	l := &n.lanes[lane]
	l.queue = append(l.queue, c)
	if l.slots < maxSlots(lane) {
		e.mark(n)
	}
}

// choose returns the node to ask, nil when nobody can be asked.
func (e *engine) choose(c *call, failed *node) *node {
	if c.anywhere() && !c.led {
		return c.part.nearest(e.zone, failed, e.now())
	}
	return c.part.candidate(failed, e.now())
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
	// maxHint is the longest pause that a node may ask for.
	maxHint = 10 * time.Second
)

// pause lets a call wait before it is routed again, longer after each try,
// with jitter, and not shorter than the node asked for.
func (e *engine) pause(c *call) {
	d := min(firstPause<<min(c.tries, 8), maxPause)
	d = d/2 + rand.N(d/2+1)
	if c.hint > 0 {
		d = max(d, c.hint+rand.N(c.hint/4+1))
		c.hint = 0
	}
	c.state = waitRetry
	c.due = e.now() + d
}

// again routes a call whose last try at failed came to nothing.
func (e *engine) again(c *call, failed *node, atOnce bool) {
	e.stats.Retries++
	if e.faults.newSeqOnRetry && c.kind == writeCall {
		c.ses.settle(c.write.Seq)
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
