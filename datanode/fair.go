package datanode

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication"
)

// Bounds of fair. Operations count; bytes are those of commands and of the results of
// reads, which are expected first and known later, what opCost adds, and what the machines will make of it in indexes.
const (
	windowOps   = 2048     // that the engine has while none waits
	windowBytes = 16 << 20 //
	accountOps  = 8192     // that wait for one account
	accountCost = 16 << 20 //
	totalCost   = 128 << 20
	opCost      = 512     // of an operation besides its bytes, or those of its answer
	quantum     = 8 << 10 // that an account may spend each turn
	retryAfter  = 250     // ms: hint to who is refused
)

const textFlood = "too much of this account waits; send less at a time"

// fair stands between the read loop and the engine. While the engine has less
// than a window of operations it passes everything on; above that each account
// has a queue of its own, and they take turns (deficit round robin, Shreedhar and
// Varghese, 1995): an account that floods waits for itself, and is refused when
// its queue is full.
type fair struct {
	propose func([]replication.Proposal)
	read    func([]replication.ReadRequest)
	wake    chan struct{}
	flooded func(account string) // told of each that is refused because the queue is full

	// Of what was submitted and is not answered, and of that the part that waits.
	ops, cost             atomic.Int64
	waitingOps, waitCosts atomic.Int64

	mu       sync.Mutex // guards what follows, and the raising of waiting…
	accounts map[string]*account
	turns    []*account // those with something waiting
	bytes    int64      // that wait
	over     bool

	fifo bool // seeded by tests: one queue for all
}

// account is what waits of one bare JID.
type account struct {
	name    string
	waiting []waiting
	bytes   int64 // that wait
	deficit int64
	paid    bool // got its quantum this turn
}

// waiting is a proposal or a read.
type waiting struct {
	proposal replication.Proposal
	read     replication.ReadRequest
	isRead   bool
	cost     int64
}

// bytes are what it takes while it waits: a read has no result yet, a command no entries in indexes.
func (w *waiting) bytes() int64 {
	if w.isRead {
		return opCost
	}
	return proposalCost(w.proposal.Cmd)
}

// asker is whose an operation is, and what it counts for.
type asker struct {
	c    *client
	cost int64
}

func (f *fair) init(e engine, flooded func(account string)) {
	f.flooded = flooded
	f.propose, f.read = e.ProposeBatch, e.Read
	f.wake = make(chan struct{}, 1)
	f.accounts = make(map[string]*account)
}

// proposalCost is what a command counts for, besides what it makes in indexes.
func proposalCost(cmd []byte) int64 { return int64(len(cmd)) + opCost }

// entered counts an operation that will be submitted; ended one that is answered.
func (f *fair) entered(cost int64) {
	f.ops.Add(1)
	f.cost.Add(cost)
}

func (f *fair) ended(cost int64) {
	f.ops.Add(-1)
	f.freed(cost)
}

// freed makes room for others.
func (f *fair) freed(cost int64) {
	f.cost.Add(-cost)
	if f.waitingOps.Load() > 0 {
		f.signal()
	}
}

func (f *fair) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// open tells whether everything may pass.
func (f *fair) open() bool {
	return f.waitingOps.Load() == 0 && f.ops.Load() <= windowOps && f.cost.Load() <= windowBytes
}

// submit takes what a wake-up of the read loop brought; by and readBy name whose
// each is and what it counts for.
func (f *fair) submit(ps []replication.Proposal, by []asker, rs []replication.ReadRequest, readBy []asker) {
	if f.open() {
		f.pass(ps, rs)
		return
	}
	var refusedPs []replication.Proposal
	var refusedRs []replication.ReadRequest
	var floods []string
	f.mu.Lock()
	if f.over {
		f.mu.Unlock()
		f.pass(ps, rs)
		return
	}
	for i := range ps {
		if !f.put(by[i].c.bare, waiting{proposal: ps[i], cost: by[i].cost}) {
			refusedPs, floods = append(refusedPs, ps[i]), append(floods, by[i].c.bare)
		}
	}
	for i := range rs {
		if !f.put(readBy[i].c.bare, waiting{read: rs[i], isRead: true, cost: readBy[i].cost}) {
			refusedRs, floods = append(refusedRs, rs[i]), append(floods, readBy[i].c.bare)
		}
	}
	f.mu.Unlock()
	for _, account := range floods {
		f.flooded(account)
	}
	for _, p := range refusedPs {
		p.Done(op.WriteResult{Code: op.Overloaded, Text: textFlood, RetryAfter: retryAfter})
	}
	for _, r := range refusedRs {
		r.Done(op.ReadResult{Code: op.Overloaded, Text: textFlood, RetryAfter: retryAfter})
	}
	f.pump()
}

func (f *fair) pass(ps []replication.Proposal, rs []replication.ReadRequest) {
	if len(ps) > 0 {
		f.propose(ps)
	}
	if len(rs) > 0 {
		f.read(rs)
	}
}

// put lets an operation wait; false when its account's queue is full. The lock is
// held.
func (f *fair) put(name string, w waiting) bool {
	if f.fifo {
		name = ""
	}
	a := f.accounts[name]
	switch {
	case f.bytes+w.bytes() > totalCost:
		return false
	case a == nil:
		a = &account{name: name}
		f.accounts[name] = a
		f.turns = append(f.turns, a)
	case len(a.waiting) >= accountOps || a.bytes+w.bytes() > accountCost:
		return false
	}
	a.waiting = append(a.waiting, w)
	a.bytes += w.bytes()
	f.bytes += w.bytes()
	f.waitingOps.Add(1)
	f.waitCosts.Add(w.cost)
	return true
}

// callOff lets reads of changes that wait for their turn not wait behind it as well: who
// asked does not want them any more or, without tags, has gone.
func (f *fair) callOff(c *client, tags []uint64) {
	if f.waitingOps.Load() == 0 {
		return
	}
	which := make(map[uint64]struct{}, len(tags))
	for _, tag := range tags {
		which[tag] = struct{}{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.accounts[c.bare]
	if a == nil {
		return
	}
	for i := range a.waiting {
		r := &a.waiting[i].read
		if _, named := which[r.Tag]; r.Owner == c.id && (named || len(tags) == 0) {
			r.Read.Wait = 0
		}
	}
}

// pump passes on what the engine has room for.
func (f *fair) pump() {
	for {
		f.mu.Lock()
		ps, rs := f.next()
		f.mu.Unlock()
		if len(ps)+len(rs) == 0 {
			return
		}
		f.pass(ps, rs)
	}
}

// next takes turns until the window is full. The lock is held.
func (f *fair) next() (ps []replication.Proposal, rs []replication.ReadRequest) {
	for len(f.turns) > 0 && f.ops.Load()-f.waitingOps.Load() < windowOps && f.cost.Load()-f.waitCosts.Load() < windowBytes {
		a := f.turns[0]
		if !a.paid {
			a.deficit += quantum
			a.paid = true
		}
		w := a.waiting[0]
		if w.cost > a.deficit {
			a.paid = false
			f.turns = append(f.turns[1:], a)
			continue
		}
		a.deficit -= w.cost
		a.bytes -= w.bytes()
		f.bytes -= w.bytes()
		a.waiting[0] = waiting{}
		a.waiting = a.waiting[1:]
		f.waitingOps.Add(-1)
		f.waitCosts.Add(-w.cost)
		if w.isRead {
			rs = append(rs, w.read)
		} else {
			ps = append(ps, w.proposal)
		}
		if len(a.waiting) == 0 {
			delete(f.accounts, a.name)
			f.turns = f.turns[1:]
		}
	}
	return ps, rs
}

// run passes on as answers make room, until ctx ends; then it passes on the rest,
// for the engine to refuse.
func (f *fair) run(ctx context.Context) {
	for {
		select {
		case <-f.wake:
			f.pump()
		case <-ctx.Done():
			f.end()
			return
		}
	}
}

func (f *fair) end() {
	var ps []replication.Proposal
	var rs []replication.ReadRequest
	f.mu.Lock()
	f.over = true
	for _, a := range f.turns {
		for _, w := range a.waiting {
			if w.isRead {
				rs = append(rs, w.read)
			} else {
				ps = append(ps, w.proposal)
			}
		}
	}
	f.turns, f.bytes = nil, 0
	clear(f.accounts)
	f.waitingOps.Store(0)
	f.waitCosts.Store(0)
	f.mu.Unlock()
	f.pass(ps, rs)
}
