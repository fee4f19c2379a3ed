package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime/debug"
	"strings"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
	"github.com/rosterdb/rosterdb/test/linearizability"
)

// Virtual time is in microseconds.
const (
	ms     = int64(1000)
	second = 1000 * ms
)

// Faults seed one or more defects into the engine.
type Faults struct {
	Core  core.Faults
	State state.Faults
	WAL   wal.Faults
	// WipedIsOld lets a node with an empty disk pass for the one it was.
	WipedIsOld bool
	// AnyTermConfirms has clients take whatever term another voter says for a
	// confirmation.
	AnyTermConfirms bool
	// ConfirmedBefore has clients confirm reads by what a voter said before.
	ConfirmedBefore bool
	// PublishedLate has nodes tell their terms, and what is committed, late.
	PublishedLate bool
	// IndexesUntold has leaders keep the indexes of the ring document to themselves.
	IndexesUntold bool
}

// Options of a run.
type Options struct {
	Seed    uint64
	Dir     string // for the state files
	Length  int64  // of the stormy part, in virtual microseconds
	Faults  Faults
	Damage  float64      // share of damage among what goes wrong, beyond the usual
	Verbose func(string) // told what happens; nil: nobody
}

// world is one run.
type world struct {
	opt     Options
	rng     *rand.Rand
	now     int64
	events  eventHeap
	counter uint64
	stamps  int64

	first      *ring.Document // of epoch 1
	newest     *ring.Document // that was published
	changes    int            // of the ring that came to their end
	nodes      []*node
	clients    []*client
	net        network
	sleepTicks int
	calm       bool // the storm is over: clients stop, everything heals

	check     checker
	history   []linearizability.Operation
	acked     map[uint32]acks    // by group
	shown     map[uint32]acks    // what reads have shown, likewise
	stale     int                // reads of a bounded age that were served
	heard     map[diskKey]uint64 // the term that a node said last of a group
	confirmed int                // reads that were confirmed by their askers
	faults    map[string]int     // by kind
	edits     map[string]int     // of the ring document by the operator, by kind
	queried   int                // entries of indexes that were compared with their objects

	marks     map[diskKey]*mark // damage that may be there
	wronged   map[diskKey]int64 // when a wrong value was gone
	witnesses [partitions]witness
	scrubs    int // begun
	found     int // states found damaged
	repaired  int // of these, replaced by that of another replica
	asked     int // answers about witnesses

	trace uint64 // hash of what happened, to compare runs
	err   error
}

// event is something that happens at a time.
type event struct {
	at int64
	n  uint64 // order among those of one time
	f  func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].n < h[j].n
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return e
}

func (w *world) after(delay int64, f func()) {
	w.counter++
	heap.Push(&w.events, event{at: w.now + delay, n: w.counter, f: f})
}

// run lets things happen until the time, or a violation, or until done.
func (w *world) run(until int64, done func() bool) {
	for len(w.events) > 0 && w.err == nil && w.events[0].at <= until {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		w.happen(e)
		if done != nil && done() {
			return
		}
	}
	w.now = max(w.now, until)
}

// happen lets an event happen; a panic of the engine is a violation. Its time goes
// into the trace: who draws another number, or does more, or in another order, is
// found out by that.
func (w *world) happen(e event) {
	w.trace = (w.trace ^ uint64(e.at)) * 0x100000001b3
	w.trace = (w.trace ^ e.n) * 0x100000001b3
	defer func() {
		if p := recover(); p != nil {
			w.fail("the engine panics: %v", p)
			w.logf("%s", debug.Stack())
		}
	}()
	e.f()
}

// between draws a number in [lo, hi].
func (w *world) between(lo, hi int64) int64 { return lo + w.rng.Int64N(hi-lo+1) }

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// stamp orders the calls and answers of clients.
func (w *world) stamp() int64 {
	w.stamps++
	return w.stamps
}

// count notes that a fault has struck.
func (w *world) count(kind string) { w.faults[kind]++ }

func (w *world) logf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	h := fnv.New64a()
	fmt.Fprintf(h, "%x %d %s", w.trace, w.now, line)
	w.trace = h.Sum64()
	if w.opt.Verbose != nil {
		w.opt.Verbose(fmt.Sprintf("%10.3f ms  %s", float64(w.now)/float64(ms), strings.TrimSpace(line)))
	}
}

// fail notes the first violation and ends the run.
func (w *world) fail(format string, v ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("at %.3f ms: %w", float64(w.now)/float64(ms), fmt.Errorf(format, v...))
		w.logf("VIOLATION: %v", w.err)
	}
}
