package replication

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
)

// feeds answers Changes reads, which ask any replica that is fit (core.Fitness) for
// what happened behind a position, and keeps those that wait for it (long polls). They are read by one
// goroutine of their own, so that neither appliers nor other reads wait for
// them: applying costs a look at a counter, and a wake-up where somebody waits.
type feeds struct {
	part func(group uint32) changeReader
	wake chan struct{}
	some atomic.Int64 // parked

	mu     sync.Mutex
	ended  bool
	groups map[uint32]map[*parked]struct{}
	owned  map[uint64]map[uint64]*parked // by owner, then by its tag
	moved  map[uint32]struct{}           // groups with parked reads that went on, or are not fit any more
	fit    map[uint32]struct{}           // groups whose replica here is
	due    []*parked                     // to be looked at
	off    []*parked                     // to be answered whatever there is
	byTime parkedHeap

	faults feedFaults
}

// feedFaults seed defects, for tests that must then turn red.
type feedFaults struct {
	LookFirst bool // registers a read only after it was looked at
	Secretly  bool // does not tell that a read begins to wait
	Stays     bool // tells a read that waits nothing of how far it has come
}

// changeReader is what feeds needs of a state.Partition.
type changeReader interface {
	Read(r *op.Read) op.ReadResult
}

// parked is a read that waits. Its copy of the read follows the position up to
// which there was nothing for it.
type parked struct {
	core.ReadRequest
	read  op.Read
	from  uint64 // its position, as who asked knows it
	until time.Time
	place int // in byTime; -1: not there
}

// tellLeast is after how many positions a read that waits may be answered though there was
// nothing for it, if they are a quarter of what the history holds: who asked knows then from
// where to go on. Else the history would go on without one that waits for something rare.
const tellLeast = 8

// lags tells whether who asked has come near the end of what the history holds.
func (p *parked) lags(res *op.ReadResult) bool {
	return p.read.Since-p.from >= max(tellLeast, (res.Position-min(res.Floor, res.Position))/4)
}

func newFeeds(part func(uint32) changeReader) *feeds {
	return &feeds{
		part: part, wake: make(chan struct{}, 1),
		groups: make(map[uint32]map[*parked]struct{}), owned: make(map[uint64]map[uint64]*parked),
		moved: make(map[uint32]struct{}), fit: make(map[uint32]struct{}),
	}
}

// take registers reads; false when the node has stopped.
func (f *feeds) take(reads []ReadRequest) bool {
	now := time.Now()
	f.mu.Lock()
	if f.ended {
		f.mu.Unlock()
		return false
	}
	for _, r := range reads {
		p := &parked{ReadRequest: r, read: *r.Read, from: r.Read.Since, until: now.Add(time.Duration(r.Read.Wait) * time.Millisecond)}
		p.Read = nil // it may keep all those that came with it
		// Registered before it is looked at: what is applied in between wakes it.
		if !f.faults.LookFirst {
			f.register(p)
		}
		f.due = append(f.due, p)
	}
	f.mu.Unlock()
	f.signal()
	return true
}

// register makes a read one that is woken. The lock is held.
func (f *feeds) register(p *parked) {
	if f.groups[p.Group] == nil {
		f.groups[p.Group] = make(map[*parked]struct{})
	}
	f.groups[p.Group][p] = struct{}{}
	if p.Owner != 0 {
		tags := f.owned[p.Owner]
		if tags == nil {
			tags = make(map[uint64]*parked)
			f.owned[p.Owner] = tags
		}
		if old := tags[p.Tag]; old != nil {
			f.off = append(f.off, old)
		}
		tags[p.Tag] = p
	}
	heap.Push(&f.byTime, p)
	f.some.Add(1)
}

// movedOn tells that a group has applied something.
func (f *feeds) movedOn(group uint32) {
	if f.some.Load() == 0 {
		return
	}
	f.mu.Lock()
	_, waited := f.groups[group]
	if waited {
		f.moved[group] = struct{}{}
	}
	f.mu.Unlock()
	if waited {
		f.signal()
	}
}

// fitness takes what has changed of it. Reads that wait at a replica that is fit no
// more are answered, for their clients to go to another.
func (f *feeds) fitness(changes []core.Fitness) {
	if len(changes) == 0 {
		return
	}
	f.mu.Lock()
	for _, c := range changes {
		if c.Fit {
			f.fit[c.Group] = struct{}{}
			continue
		}
		delete(f.fit, c.Group)
		if _, waited := f.groups[c.Group]; waited {
			f.moved[c.Group] = struct{}{}
		}
	}
	f.mu.Unlock()
	f.signal()
}

func (f *feeds) isFit(group uint32) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.fit[group]
	return ok
}

// forget answers the reads of an owner that has gone.
func (f *feeds) forget(owner uint64) {
	if f.some.Load() == 0 {
		return
	}
	var gone []*parked
	f.mu.Lock()
	for _, p := range f.owned[owner] {
		gone = append(gone, p)
	}
	for _, p := range gone {
		f.remove(p)
	}
	f.mu.Unlock()
	for _, p := range gone {
		p.Done(op.ReadResult{Code: op.Unavailable, Text: "who asked has gone"})
	}
}

// cancel ends the wait of an owner's reads. Tags of none are passed over.
func (f *feeds) cancel(owner uint64, tags []uint64) {
	f.mu.Lock()
	for _, tag := range tags {
		if p := f.owned[owner][tag]; p != nil {
			f.off = append(f.off, p)
		}
	}
	f.mu.Unlock()
	f.signal()
}

func (f *feeds) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// remove takes a read out; false if it was answered already. The lock is held.
func (f *feeds) remove(p *parked) bool {
	set := f.groups[p.Group]
	if _, ok := set[p]; !ok {
		return false
	}
	if delete(set, p); len(set) == 0 {
		delete(f.groups, p.Group)
		delete(f.moved, p.Group)
	}
	if p.place >= 0 {
		heap.Remove(&f.byTime, p.place)
	}
	if tags := f.owned[p.Owner]; tags[p.Tag] == p {
		if delete(tags, p.Tag); len(tags) == 0 {
			delete(f.owned, p.Owner)
		}
	}
	f.some.Add(-1)
	return true
}

// run looks at reads whose group went on or whose time is over, until quit.
func (f *feeds) run(quit <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-quit:
			f.end()
			return
		case <-f.wake:
		case <-timer.C:
		}
		now := time.Now()
		todo, next := f.todo(now)
		for _, p := range todo {
			f.look(p, now)
		}
		timer.Reset(next)
	}
}

// todo lists what is to be looked at, and how long until the next one's end.
func (f *feeds) todo(now time.Time) (todo []*parked, next time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	todo, f.due = f.due, nil
	for _, p := range f.off {
		if p.until = now; p.place >= 0 {
			heap.Remove(&f.byTime, p.place)
		}
		todo = append(todo, p)
	}
	f.off = nil
	for g := range f.moved {
		for p := range f.groups[g] {
			todo = append(todo, p)
		}
		delete(f.moved, g)
	}
	for len(f.byTime) > 0 && !f.byTime[0].until.After(now) {
		todo = append(todo, heap.Pop(&f.byTime).(*parked))
	}
	if len(f.byTime) == 0 {
		return todo, time.Hour
	}
	return todo, f.byTime[0].until.Sub(now)
}

// behind tells whether a replica lacks what its reader, by revision, has had of a root.
func behind(res *op.ReadResult, r *op.Read) bool {
	return res.Revision < r.SinceRevision || r.Skip > 0 && res.Revision == r.SinceRevision
}

// look reads, and answers if there is something or the time is over.
func (f *feeds) look(p *parked, now time.Time) {
	res := op.ReadResult{Code: op.Redirect, Text: "this data node has no replica of the partition; read the ring document anew"}
	part := f.part(p.Group)
	switch {
	case part == nil:
	case !f.isFit(p.Group):
		res.Text = "this replica of the partition is being made, is cut off or lags; ask another"
	default:
		for {
			res = part.Read(&p.read)
			on := res.Position > p.read.Since
			if res.Code != op.OK || len(res.Events) > 0 || !res.More && !p.until.After(now) {
				break
			}
			if p.read.ByRevision && behind(&res, &p.read) {
				on = false // this replica is behind the reader: its position says nothing
			}
			if on {
				if p.read.ByRevision {
					p.from = res.Position // it knew of none
				}
				p.read.SinceRevision, p.read.ByRevision = 0, false
				p.read.Since, p.read.Skip = res.Position, 0 // what was skipped lies behind
			}
			if p.lags(&res) && !f.faults.Stays {
				break
			}
			if !res.More || !on {
				if f.faults.LookFirst {
					f.mu.Lock()
					f.register(p)
					f.mu.Unlock()
				}
				if p.Parked != nil && !f.faults.Secretly {
					p.Parked()
				}
				p.Parked = nil // looked at again, it waits already
				return
			}
		}
	}
	f.mu.Lock()
	mine := f.remove(p)
	f.mu.Unlock()
	if mine {
		p.Done(res)
	}
}

// end answers everybody.
func (f *feeds) end() {
	f.mu.Lock()
	f.ended = true
	var rest []*parked
	for _, set := range f.groups {
		for p := range set {
			rest = append(rest, p)
		}
	}
	for _, p := range rest {
		f.remove(p)
	}
	f.mu.Unlock()
	for _, p := range rest {
		p.Done(stopping())
	}
}

func stopping() op.ReadResult {
	return op.ReadResult{Code: op.Unavailable, Text: "this data node is stopping; try another replica"}
}

// parkedHeap orders by the end of waiting.
type parkedHeap []*parked

func (h parkedHeap) Len() int           { return len(h) }
func (h parkedHeap) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h parkedHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *parkedHeap) Push(x any) {
	p := x.(*parked)
	p.place = len(*h)
	*h = append(*h, p)
}

func (h *parkedHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	p.place = -1
	return p
}
