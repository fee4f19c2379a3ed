package replication

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
)

// history is a changeReader with one event a position, all for everybody but
// those that "hidden" says.
type history struct {
	mu       sync.Mutex
	position uint64
	hidden   map[uint64]bool
	floor    uint64
	reads    int
	asked    uint64 // the position at the last read
}

func (h *history) Read(r *op.Read) op.ReadResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads++
	h.asked = h.position
	res := op.ReadResult{Code: op.OK, Position: h.position, Floor: h.floor, Revision: h.position}
	since := r.Since
	if r.ByRevision { // there is one root, and each event is a revision
		since = r.SinceRevision
	}
	for i := since + 1; i <= h.position; i++ {
		if !h.hidden[i] && (i != since+1 || r.Skip == 0) {
			res.Events = append(res.Events, op.Event{Kind: op.Written, Position: i})
		}
	}
	return res
}

func (h *history) add(hidden bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.position++
	h.hidden[h.position] = hidden
}

// newFeed runs feeds on one group's history until the test ends.
func newFeed(t *testing.T) (*feeds, *history) {
	h := &history{hidden: make(map[uint64]bool)}
	f := newFeeds(func(group uint32) changeReader {
		if group != 0 {
			return nil
		}
		return h
	})
	f.fitness([]core.Fitness{{Group: 0, Fit: true}})
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { f.run(quit) })
	t.Cleanup(func() { close(quit); wg.Wait() })
	return f, h
}

func poll(t *testing.T, f *feeds, owner uint64, r op.Read) chan op.ReadResult {
	t.Helper()
	out := make(chan op.ReadResult, 2)
	r.Kind = op.Changes
	if !f.take([]ReadRequest{{Read: &r, Owner: owner, Done: func(res op.ReadResult) { out <- res }}}) {
		t.Fatal("refused")
	}
	return out
}

func answer(t *testing.T, c chan op.ReadResult) op.ReadResult {
	t.Helper()
	select {
	case r := <-c:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("no answer")
	}
	return op.ReadResult{}
}

func TestChangesWaitForTheNextEvent(t *testing.T) {
	f, h := newFeed(t)
	h.add(false)
	if r := answer(t, poll(t, f, 0, op.Read{})); len(r.Events) != 1 || r.Position != 1 {
		t.Fatalf("what is there: %+v", r)
	}
	c := poll(t, f, 0, op.Read{Since: 1, Wait: 60_000})
	h.add(true) // not for us
	f.movedOn(0)
	h.add(false)
	f.movedOn(0)
	if r := answer(t, c); len(r.Events) != 1 || r.Events[0].Position != 3 || r.Position != 3 {
		t.Fatalf("%+v", r)
	}
	if n := f.some.Load(); n != 0 || len(f.groups) != 0 || len(f.byTime) != 0 {
		t.Errorf("%d count as parked, %d groups, %d times", n, len(f.groups), len(f.byTime))
	}
}

// TestParkedIsTold: a read tells once that it begins to wait, and not if it is answered at once. The planted mistake is not
// to tell.
func TestParkedIsTold(t *testing.T) {
	for _, planted := range []bool{false, true} {
		f, h := newFeed(t)
		f.faults.Secretly = planted
		ask := func(since uint64) (chan struct{}, chan op.ReadResult) {
			parked, out := make(chan struct{}, 9), make(chan op.ReadResult, 1)
			f.take([]ReadRequest{{
				Read:   &op.Read{Kind: op.Changes, Since: since, Wait: 60_000},
				Parked: func() { parked <- struct{}{} }, Done: func(r op.ReadResult) { out <- r },
			}})
			return parked, out
		}
		looks := func(n int) {
			t.Helper()
			eventually(t, "it was looked at", func() bool {
				h.mu.Lock()
				defer h.mu.Unlock()
				return h.reads >= n
			})
		}
		parked, out := ask(0)
		looks(1)
		h.add(true) // not for it
		f.movedOn(0)
		looks(2)
		h.add(false)
		f.movedOn(0)
		if answer(t, out); (len(parked) == 0) != planted || len(parked) > 1 {
			t.Errorf("planted %v: told %d times that it waits", planted, len(parked))
		}
		parked, out = ask(1)
		if answer(t, out); len(parked) != 0 {
			t.Error("told that it waits, and it was answered at once")
		}
	}
}

// TestChangesThatWaitKeepUp: a read for which there is nothing is told how far it has come when that is a quarter of the
// history, and not before. The planted mistake is to let it wait.
func TestChangesThatWaitKeepUp(t *testing.T) {
	for _, planted := range []bool{false, true} {
		f, h := newFeed(t)
		f.faults.Stays = planted
		goOn := func(n int) {
			for range n {
				h.add(true) // not for it
			}
			f.movedOn(0)
		}
		goOn(400)
		c := poll(t, f, 0, op.Read{Since: 400, Wait: 60_000})
		h.mu.Lock()
		h.floor = 100
		h.mu.Unlock()
		goOn(98) // of 398
		eventually(t, "it was looked at", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.asked == 498
		})
		if len(c) > 0 {
			t.Fatal("told without need")
		}
		goOn(3) // 101 of 401
		if !planted {
			if r := answer(t, c); r.Code != op.OK || len(r.Events) != 0 || r.Position != 501 {
				t.Fatalf("%+v", r)
			}
			continue
		}
		h.add(false)
		f.movedOn(0)
		if r := answer(t, c); len(r.Events) == 0 {
			t.Error("the planted mistake was not noticed")
		}
	}
}

// TestChangesSkipOnce: events that a reader has already are left out where they
// are, not where the feed goes on while it waits.
func TestChangesSkipOnce(t *testing.T) {
	f, h := newFeed(t)
	h.add(false) // the reader has it
	c := poll(t, f, 0, op.Read{Skip: 1, Wait: 60_000})
	h.add(true)
	f.movedOn(0)
	h.add(false)
	f.movedOn(0)
	if r := answer(t, c); len(r.Events) != 1 || r.Events[0].Position != 3 {
		t.Fatalf("%+v", r)
	}
}

// TestChangesSkipBehindTheReader: a replica that lacks what is to be left out leaves it
// out when it comes.
func TestChangesSkipBehindTheReader(t *testing.T) {
	f, h := newFeed(t)
	h.add(false)
	c := poll(t, f, 0, op.Read{Root: "r", ByRevision: true, SinceRevision: 1, Skip: 1, Wait: 60_000})
	looked := func(n int) {
		t.Helper()
		eventually(t, "it was looked at", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.reads >= n
		})
	}
	looked(1)
	h.add(false) // the reader has it
	f.movedOn(0)
	looked(2)
	h.add(false)
	f.movedOn(0)
	if r := answer(t, c); len(r.Events) != 1 || r.Events[0].Position != 3 {
		t.Fatalf("%+v", r)
	}
}

// TestChangesOfAReplicaBehindTheReader: it has nothing behind the revision yet, and
// where it stands says nothing of where the reader is.
func TestChangesOfAReplicaBehindTheReader(t *testing.T) {
	f, h := newFeed(t)
	h.add(false)
	c := poll(t, f, 0, op.Read{Root: "r", ByRevision: true, SinceRevision: 2, Wait: 60_000})
	eventually(t, "it was looked at", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.reads > 0
	})
	h.mu.Lock()
	h.position = 3
	h.mu.Unlock()
	f.movedOn(0)
	if r := answer(t, c); len(r.Events) != 1 || r.Events[0].Position != 3 {
		t.Fatalf("%+v", r)
	}
}

// TestChangesEndWithANewPosition: what was none of the reader's business need not
// be looked through again.
func TestChangesEndWithANewPosition(t *testing.T) {
	f, h := newFeed(t)
	h.add(true)
	r := answer(t, poll(t, f, 0, op.Read{Wait: 50}))
	if r.Code != op.OK || len(r.Events) != 0 || r.Position != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestChangesOfTheGoneAreDropped(t *testing.T) {
	f, h := newFeed(t)
	gone, stays := poll(t, f, 7, op.Read{Wait: 60_000}), poll(t, f, 8, op.Read{Wait: 60_000})
	f.forget(7)
	if r := answer(t, gone); r.Code != op.Unavailable {
		t.Fatalf("%+v", r)
	}
	h.add(false)
	f.movedOn(0)
	if r := answer(t, stays); r.Code != op.OK || len(r.Events) != 1 {
		t.Fatalf("%+v", r)
	}
	if len(gone) != 0 {
		t.Error("answered twice")
	}
}

// TestChangesCalledOff: a read that is called off is answered at once, with how far
// it came; only its owner's, and only that of the tag.
func TestChangesCalledOff(t *testing.T) {
	f, h := newFeed(t)
	h.add(true)
	ask := func(owner, tag uint64) chan op.ReadResult {
		out := make(chan op.ReadResult, 2)
		f.take([]ReadRequest{{Read: &op.Read{Kind: op.Changes, Wait: 60_000}, Owner: owner, Tag: tag, Done: func(r op.ReadResult) { out <- r }}})
		return out
	}
	off, stays, others := ask(7, 1), ask(7, 2), ask(8, 1)
	f.cancel(7, []uint64{1, 5})
	f.cancel(9, []uint64{2})
	if r := answer(t, off); r.Code != op.OK || len(r.Events) != 0 || r.Position != 1 {
		t.Fatalf("called off: %+v", r)
	}
	again := ask(8, 1)
	if r := answer(t, others); r.Code != op.OK || len(r.Events) != 0 {
		t.Fatalf("its tag was given away: %+v", r)
	}
	h.add(false)
	f.movedOn(0)
	for _, c := range []chan op.ReadResult{stays, again} {
		if r := answer(t, c); len(r.Events) != 1 {
			t.Fatalf("%+v", r)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(off)+len(others) != 0 || len(f.owned) != 0 || len(f.byTime) != 0 {
		t.Errorf("%d answered twice, %d owners, %d times", len(off)+len(others), len(f.owned), len(f.byTime))
	}
}

func TestChangesWithoutAReplica(t *testing.T) {
	f, _ := newFeed(t)
	out := make(chan op.ReadResult, 1)
	f.take([]ReadRequest{{Group: 9, Read: &op.Read{Kind: op.Changes, Wait: 60_000}, Done: func(r op.ReadResult) { out <- r }}})
	if r := answer(t, out); r.Code != op.Redirect {
		t.Fatalf("%+v", r)
	}
}

// TestChangesUnderWrites: nothing is missed and nothing doubled by a reader that
// goes on from the position it was given, while entries are applied.
func TestChangesUnderWrites(t *testing.T) {
	f, h := newFeed(t)
	const events = 2000
	var wg sync.WaitGroup
	wg.Go(func() {
		for range events {
			h.add(false)
			f.movedOn(0)
		}
	})
	seen := uint64(0)
	for seen < events {
		r := answer(t, poll(t, f, 0, op.Read{Since: seen, Wait: 60_000}))
		for _, e := range r.Events {
			if e.Position != seen+1 {
				t.Fatalf("event %d after %d", e.Position, seen)
			}
			seen = e.Position
		}
	}
	wg.Wait()
}

func TestClosedFeedsAnswerEverybody(t *testing.T) {
	h := &history{hidden: make(map[uint64]bool)}
	f := newFeeds(func(uint32) changeReader { return h })
	f.fitness([]core.Fitness{{Fit: true}})
	c := poll(t, f, 0, op.Read{Wait: 60_000})
	quit := make(chan struct{})
	close(quit)
	f.run(quit)
	if r := answer(t, c); r.Code != op.Unavailable {
		t.Fatalf("%+v", r)
	}
	if f.take(nil) {
		t.Error("takes reads after its end")
	}
}

// BenchmarkParked measures what a read that waits takes of the engine's memory.
func BenchmarkParked(b *testing.B) {
	f := newFeeds(func(uint32) changeReader { return nil })
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := allocated()
	for i := range b.N {
		r := &op.Read{Kind: op.Changes, Prefix: string([]byte("users/")), Wait: 60_000}
		f.take([]ReadRequest{{Group: uint32(i % 271), Read: r, Owner: uint64(1 + i%100), Tag: uint64(i), Done: func(op.ReadResult) {}}})
	}
	f.due = nil // looked at
	b.ReportMetric(float64(allocated()-before)/float64(b.N), "B/read")
	runtime.KeepAlive(f)
}

// busy is a history in which something happens just after each look.
type busy struct {
	history
	f *feeds
}

func (b *busy) Read(r *op.Read) op.ReadResult {
	res := b.history.Read(r)
	if b.reads == 1 {
		b.add(false)
		b.f.movedOn(0)
	}
	return res
}

// TestNoEventIsMissedWhileParking: what is applied between the look and the wait
// wakes the reader. The seeded fault registers it too late.
func TestNoEventIsMissedWhileParking(t *testing.T) {
	for _, fault := range []bool{false, true} {
		b := &busy{history: history{hidden: make(map[uint64]bool)}}
		b.f = newFeeds(func(uint32) changeReader { return b })
		b.f.fitness([]core.Fitness{{Fit: true}})
		b.f.faults.LookFirst = fault
		c := poll(t, b.f, 0, op.Read{Wait: 60_000})
		for range 2 {
			todo, _ := b.f.todo(time.Now())
			for _, p := range todo {
				b.f.look(p, time.Now())
			}
		}
		if answered := len(c) == 1; answered == fault {
			t.Errorf("fault %v: answered %v", fault, answered)
		}
	}
}

// TestChangesLeaveAnUnfitReplica: a read that waits at a follower which is cut off is
// sent elsewhere, and later ones are at once. The seeded fault keeps them.
func TestChangesLeaveAnUnfitReplica(t *testing.T) {
	for _, fault := range []bool{false, true} {
		c := newTestCluster(t, 3, 1, func(cfg *Config) { cfg.Faults.AnyReplicaFeeds = fault })
		leader := c.leader(0)
		at := slices.IndexFunc(c.dirs, func(d *Dir) bool { return d.Member() != leader.cfg.Dir.Member() })
		n := c.node(at)
		look := func() op.Code { return read(n, 0, &op.Read{Kind: op.Changes}).Code }
		eventually(t, "a follower answers", func() bool { return look() == op.OK })
		waits := make(chan op.ReadResult, 1)
		n.Read([]ReadRequest{{Read: &op.Read{Kind: op.Changes, Since: 1 << 40, Wait: 1 << 40}, Done: func(r op.ReadResult) { waits <- r }}})
		c.net.setCut(n.cfg.Dir.Member(), true)
		eventually(t, "it knows no leader", func() bool { _, ok := n.LeaderOf(0); return !ok })
		if fault {
			if code := look(); code != op.OK || len(waits) != 0 {
				t.Error("the seeded fault is not seen")
			}
			continue
		}
		if r := answer(t, waits); r.Code != op.Redirect {
			t.Errorf("a read that waits: %+v", r)
		}
		if code := look(); code != op.Redirect {
			t.Errorf("a read that comes: %v", code)
		}
		c.net.setCut(n.cfg.Dir.Member(), false)
		eventually(t, "it answers again", func() bool { return look() == op.OK })
	}
}

// TestWatchLeavesAStarvedReplica: a link carries its leader's heartbeats to a follower, and
// nothing that is large. Who waits there for changes is sent elsewhere, and finds the event
// that the follower never got. (core.TestTheStarvedDoNotFeed has the seeded fault.)
func TestWatchLeavesAStarvedReplica(t *testing.T) {
	c := newTestCluster(t, 3, 1, func(cfg *Config) { cfg.Tick = 20 * time.Millisecond })
	s := c.session(0)
	leader := c.leader(0)
	at := slices.IndexFunc(c.dirs, func(d *Dir) bool { return d.Member() != leader.cfg.Dir.Member() })
	n := c.node(at)
	changes := op.Read{Kind: op.Changes, Values: true}
	eventually(t, "a follower answers, and has everything", func() bool {
		here, there := read(n, 0, &changes), read(leader, 0, &changes)
		changes.Since = here.Position
		return here.Code == op.OK && here.Position == there.Position
	})
	waits, wait := make(chan op.ReadResult, 1), changes
	wait.Wait = 600_000
	n.Read([]ReadRequest{{Read: &wait, Done: func(r op.ReadResult) { waits <- r }}})
	c.net.setMost(n.cfg.Dir.Member(), 2048)
	large := strings.Repeat("x", 8192)
	if r := c.write(0, put(s, 1, "r", "p", large)); r.Code != op.OK {
		t.Fatalf("%+v", r)
	}
	if r := answer(t, waits); r.Code != op.Redirect {
		t.Fatalf("the read that waits: %+v", r)
	}
	if r := c.read(0, &changes); len(r.Events) != 1 || string(r.Events[0].Value) != large {
		t.Errorf("at the leader: %d events", len(r.Events))
	}
	c.net.setMost(n.cfg.Dir.Member(), 0)
	eventually(t, "the follower answers again, with the event", func() bool {
		r := read(n, 0, &changes)
		return r.Code == op.OK && len(r.Events) == 1
	})
}
