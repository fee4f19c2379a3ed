package core

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

const testMS = int64(1e6) // nanoseconds

// staleWorld is three nodes, the first leads; ask is a Stale read at the third.
type staleWorld struct {
	*world
	t *testing.T
}

func newStaleWorld(t *testing.T, f Faults) *staleWorld {
	w := &world{t: t}
	w.cluster(3, 0, 1, Config{SleepTicks: -1, Faults: f})
	for range 3 {
		w.tick()
	}
	return &staleWorld{w, t}
}

func (w *world) tick() {
	for _, n := range w.nodes {
		n.core.Tick()
	}
	w.settle()
}

func (s *staleWorld) write(value string) {
	s.t.Helper()
	var code op.Code
	s.nodes[0].core.Propose([]Proposal{{Cmd: []byte(value), Done: func(r op.WriteResult) { code = r.Code }}})
	s.settle()
	if code != op.OK {
		s.t.Fatalf("write %s: code %d", value, code)
	}
}

// ask returns where the answer appears.
func (s *staleWorld) ask(now, maxAge int64) *op.ReadResult {
	r := &op.ReadResult{}
	s.nodes[2].core.Read([]ReadRequest{{
		Read: &op.Read{Kind: op.Get, Stale: true, MaxAge: maxAge}, Now: now * testMS,
		Done: func(res op.ReadResult) { *r = res },
	}})
	return r
}

func TestStaleReadFromAFollower(t *testing.T) {
	s := newStaleWorld(t, Faults{})
	s.write("a")
	r := s.ask(10, 0)
	s.settle()
	if r.Code != op.OK || r.Text != "a" {
		t.Fatalf("a follower that can ask its leader answers %d %q", r.Code, r.Text)
	}
	s.nodes[2].cut = true
	s.write("b")
	r = s.ask(60, 100)
	s.settle()
	if r.Code != op.OK || r.Text != "a" {
		t.Fatalf("50 ms after a confirmation, 100 allowed: %d %q", r.Code, r.Text)
	}
	s.nodes[2].cut = false
	for range 10 {
		s.tick()
	}
	r = s.ask(1000, 100)
	s.settle()
	if r.Code != op.OK || r.Text != "a,b" {
		t.Fatalf("after the link is back: %d %q", r.Code, r.Text)
	}
	if n := s.nodes[2].core.waiting; n != 0 || len(s.nodes[2].core.asking) > 1 {
		t.Errorf("%d reads count as waiting, %d groups ask", n, len(s.nodes[2].core.asking))
	}
}

// TestStaleBoundHolds: a follower that is cut off refuses what it cannot confirm,
// within a bounded time. The seeded fault answers from what it has.
func TestStaleBoundHolds(t *testing.T) {
	for _, fault := range []bool{false, true} {
		s := newStaleWorld(t, Faults{StaleBoundIgnored: fault})
		s.write("a")
		s.ask(10, 0)
		s.settle()
		s.nodes[2].cut = true
		s.write("b")
		r := s.ask(200, 100)
		s.settle()
		if fault {
			if r.Code != op.OK {
				t.Error("the seeded fault (stale bound ignored) goes unnoticed")
			}
			continue
		}
		if r.Code != 0 {
			t.Fatalf("a state of 190 ms ago is served, 100 allowed: %d %q", r.Code, r.Text)
		}
		for range staleTicks + 1 {
			s.nodes[2].core.Tick()
			s.settle()
		}
		if r.Code != op.Redirect && r.Code != op.Unavailable {
			t.Fatalf("not refused after %d ticks: code %d", staleTicks, r.Code)
		}
		if n := s.nodes[2].core.waiting; n != 0 {
			t.Errorf("%d reads count as waiting", n)
		}
	}
}

// TestAgeCountsFromTheRoundsBeginning: what is written while a round runs is not
// covered by it. The seeded fault takes the round's end for its beginning.
func TestAgeCountsFromTheRoundsBeginning(t *testing.T) {
	for _, fault := range []bool{false, true} {
		s := newStaleWorld(t, Faults{StaleFromRoundEnd: fault})
		s.write("a")
		for range 3 { // until the follower knows that it is committed
			for _, n := range s.nodes {
				n.core.Tick()
			}
			s.settle()
		}
		follower := s.nodes[2]
		first := s.ask(300, 0)
		// The round runs, but the follower does not hear of its end yet.
		var late []func()
		for range 20 {
			for _, n := range s.nodes {
				todo := n.inbox
				n.inbox = nil
				if n == follower {
					late = append(late, todo...)
					todo = nil
				}
				for _, f := range todo {
					f()
				}
				n.carryOut(n.core.Advance())
			}
		}
		follower.cut = true
		s.write("b")
		second := s.ask(500, 100)
		for _, f := range late {
			f()
		}
		s.settle()
		if first.Code != op.OK || first.Text != "a" {
			t.Fatalf("the read that began the round: %d %q", first.Code, first.Text)
		}
		if served := second.Code == op.OK; served != fault {
			t.Errorf("fault %v: a read is served (%v) by a round that began 200 ms before it, 100 allowed", fault, served)
		}
	}
}

// TestStaleReadSurvivesLoss: the question is asked again when it may be lost, and
// a follower that becomes leader answers what it had asked for.
func TestStaleReadSurvivesLoss(t *testing.T) {
	s := newStaleWorld(t, Faults{})
	s.write("a")
	s.nodes[2].cut = true
	r := s.ask(10, 0)
	s.settle()
	s.nodes[2].cut = false
	for range staleAgain + 1 {
		s.tick()
	}
	if r.Code != op.OK {
		t.Fatalf("asked once only: code %d", r.Code)
	}
	s.nodes[2].cut = true
	r = s.ask(20, 0)
	s.settle()
	s.nodes[2].cut = false
	s.nodes[0].cut = true
	for _, n := range s.nodes[1:] {
		n.core.PeerDown(1)
	}
	for range 2 * staleAgain {
		s.tick()
	}
	if r.Code != op.OK || r.Text != "a" {
		t.Fatalf("after a change of leader: %d %q", r.Code, r.Text)
	}
}

// TestNewLeaderConfirmsNothingForFollowers: until it has committed an entry of its
// own term it drops their questions.
func TestNewLeaderConfirmsNothingForFollowers(t *testing.T) {
	s := newStaleWorld(t, Faults{})
	s.write("a")
	g := s.nodes[0].core.groups[0]
	term := g.termStart
	g.termStart = g.commit + 1
	r := s.ask(10, 0)
	s.settle()
	if r.Code != 0 {
		t.Fatalf("answered: %d", r.Code)
	}
	g.termStart = term
	for range staleAgain + 1 {
		s.tick()
	}
	if r.Code != op.OK {
		t.Fatalf("not asked again: %d", r.Code)
	}
}
