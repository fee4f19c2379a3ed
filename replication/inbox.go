package replication

import (
	"sync"

	"github.com/rosterdb/rosterdb/replication/core"
)

// maxInbound bounds the bytes of peers' batches that wait for the loop. Beyond
// it they are dropped: Raft repeats what matters.
const maxInbound = 64 << 20

// inbox collects what happens for the loop, which takes all of it at once: that
// is what lets many proposals share one append.
type inbox struct {
	wake chan struct{}

	mu     sync.Mutex
	ended  bool
	bytes  int
	events events
}

// events are the inputs of one step, in order within each kind.
type events struct {
	batches   []inBatch
	proposals []Proposal
	reads     []ReadRequest
	applied   []*core.Task
	calls     []func()
	durable   bool
}

type inBatch struct {
	from  uint64
	batch []byte
}

// put changes the events under the lock; it is false when the loop has ended.
func (b *inbox) put(f func(*events)) bool {
	b.mu.Lock()
	if b.ended {
		b.mu.Unlock()
		return false
	}
	f(&b.events)
	b.mu.Unlock()
	b.signal()
	return true
}

func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// batch is false when the batch was dropped for want of room.
func (b *inbox) batch(from uint64, batch []byte) (taken bool) {
	taken = true
	b.put(func(e *events) {
		if b.bytes >= maxInbound {
			taken = false
			return
		}
		b.bytes += len(batch)
		e.batches = append(e.batches, inBatch{from: from, batch: batch})
	})
	return taken
}

func (b *inbox) propose(ps []Proposal) bool {
	return b.put(func(e *events) { e.proposals = append(e.proposals, ps...) })
}

func (b *inbox) read(rs []ReadRequest) bool {
	return b.put(func(e *events) { e.reads = append(e.reads, rs...) })
}

func (b *inbox) tasksDone(ts []*core.Task) {
	b.put(func(e *events) { e.applied = append(e.applied, ts...) })
}

func (b *inbox) walDone() { b.put(func(e *events) { e.durable = true }) }

// call runs f in the loop, unless that has ended.
func (b *inbox) call(f func()) bool {
	return b.put(func(e *events) { e.calls = append(e.calls, f) })
}

// take swaps the events against the empty ones given.
func (b *inbox) take(empty events) (e events, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, b.events = b.events, empty
	b.bytes = 0
	return e, b.ended
}

// end makes the loop take what is there and finish.
func (b *inbox) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.signal()
}

func (e *events) reset() {
	clear(e.batches)
	clear(e.proposals)
	clear(e.reads)
	clear(e.applied)
	clear(e.calls)
	*e = events{
		batches: e.batches[:0], proposals: e.proposals[:0], reads: e.reads[:0],
		applied: e.applied[:0], calls: e.calls[:0],
	}
}

// queue is an unbounded FIFO with one or more takers. What it holds is bounded
// by the core's limits on what is under way.
type queue[T any] struct {
	mu    sync.Mutex
	some  *sync.Cond
	items []T
	ended bool
}

func newQueue[T any]() *queue[T] {
	q := &queue[T]{}
	q.some = sync.NewCond(&q.mu)
	return q
}

func (q *queue[T]) put(items ...T) {
	q.mu.Lock()
	q.items = append(q.items, items...)
	q.mu.Unlock()
	q.some.Signal()
}

// take waits for items and takes up to most of them (all if 0), into buf. It
// returns none only after end, when all are taken.
func (q *queue[T]) take(buf []T, most int) []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 && !q.ended {
		q.some.Wait()
	}
	n := len(q.items)
	if most > 0 && n > most {
		n = most
		q.some.Signal()
	}
	buf = append(buf[:0], q.items[:n]...)
	rest := copy(q.items, q.items[n:])
	clear(q.items[rest:])
	q.items = q.items[:rest]
	return buf
}

func (q *queue[T]) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.some.Broadcast()
}
