package session

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// ErrBudget is the ErrOverflow of a queue that was within its own limit: all queues together are at
// theirs (Pool.Budget).
var ErrBudget = fmt.Errorf("%w, since all queues together are", ErrOverflow)

// Pool lends the chunks of outboxes, and counts what waits in them. One pool serves a whole server.
type Pool struct {
	// Budget bounds the bytes that wait in all outboxes together, what is kept until it is acknowledged
	// included; 0: nothing does. It is set before the first outbox.
	Budget int
	Faults PoolFaults

	p      sync.Pool
	queued atomic.Int64 // multiple of budgetStep
}

// PoolFaults are bugs that tests plant, to see that a test would notice them.
type PoolFaults struct {
	OneQueue  bool // senders don't take turns
	LateTurns bool // and where the limit is small, only when it is too late
}

// budgetStep is what an outbox may hold whatever others do, and the step in which it is counted: those
// that hold less, nearly all, touch nothing that others touch.
const budgetStep = 64 << 10

// Queued is how many bytes wait in outboxes that hold more than 64 KiB, rounded down to whole steps of
// that for each.
func (p *Pool) Queued() int { return int(p.queued.Load()) }

func (p *Pool) get() *chunk {
	if c, ok := p.p.Get().(*chunk); ok {
		return c
	}
	return &chunk{b: make([]byte, 0, chunkSize)}
}

func (p *Pool) put(c *chunk) {
	if cap(c.b) <= chunkKeep {
		c.b = c.b[:0]
		p.p.Put(c)
	}
}

// room tells whether n bytes more may wait: nil, ErrOverflow or ErrBudget. A single stanza larger than
// the limit is let through when nothing else waits. mu must be held.
func (o *Outbox) room(n int) error {
	held := o.waiting()
	if held > 0 && held+n > o.limit {
		return ErrOverflow
	}
	if a := o.acks(); a != nil {
		if !a.room(n, o.limit) {
			return ErrOverflow
		}
		held += a.bytes()
	}
	if held+n < budgetStep {
		return nil
	}
	return o.charge(held, n)
}

// charge is room for a queue that is counted, or is going to be.
func (o *Outbox) charge(held, n int) error {
	p := o.pool
	if held > budgetStep && p.Budget > 0 && p.Queued()+n > p.Budget && o.trusted == "" {
		return ErrBudget
	}
	o.count(held + n)
	return nil
}

// count makes the pool's total right for an outbox of that many bytes. mu must be held.
func (o *Outbox) count(held int) {
	held -= held % budgetStep
	if d := held - o.counted; d != 0 {
		o.counted = held
		o.pool.queued.Add(int64(d))
	}
}

// recount is count of what the outbox holds. mu must be held.
func (o *Outbox) recount() {
	held := o.waiting()
	if a := o.acks(); a != nil {
		held += a.bytes()
	}
	o.count(held)
}

// waiting is how many bytes wait to be written. mu must be held.
func (o *Outbox) waiting() int {
	n := 0
	if o.q != nil {
		n = len(o.q.b)
	}
	if o.w != nil {
		n += len(o.w.b) - o.off
	}
	if o.turns != nil {
		n += o.turns.bytes
	}
	return n
}
