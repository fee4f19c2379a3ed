package core

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// ledAfter is how many groups the first of three nodes leads before and after
// something happens to it, without that any time passes.
func ledAfter(t *testing.T, f Faults, happens func(*Core)) (before, after int) {
	t.Helper()
	w := &world{t: t}
	w.cluster(3, 0, 40, Config{SleepTicks: -1, Faults: f})
	for range 3 {
		for _, n := range w.nodes {
			n.core.Tick()
		}
		w.settle()
	}
	c := w.nodes[0].core
	before = c.Totals().Led
	happens(c)
	w.settle()
	return before, c.Totals().Led
}

func TestNoRoomHandsOverAtOnce(t *testing.T) {
	for name, happens := range map[string]func(*Core){
		"full": func(c *Core) { c.SetFull(true) },
		"low":  func(c *Core) { c.SetLow(true) },
	} {
		if before, after := ledAfter(t, Faults{}, happens); before < 10 || after != 0 {
			t.Errorf("%s: led %d groups, then %d", name, before, after)
		}
		if _, after := ledAfter(t, Faults{LeadWhileFull: true}, happens); after == 0 {
			t.Errorf("%s: a node that is to keep its leaderships gives them away; the test cannot see one that does", name)
		}
	}
}

// TestPeersHearOfNoRoom: nobody gives a full node leadership, though it was told
// only of other groups.
func TestPeersHearOfNoRoom(t *testing.T) {
	w := &world{t: t}
	w.cluster(3, 0, 3, Config{SleepTicks: -1})
	for range 3 {
		for _, n := range w.nodes {
			n.core.Tick()
		}
		w.settle()
	}
	full := w.nodes[0].core
	full.SetLow(true)
	w.settle()
	for _, n := range w.nodes[1:] {
		if n.core.willing(full.cfg.Member) {
			t.Errorf("node %d does not know", n.id)
		}
	}
	full.SetLow(false)
	w.settle()
	for _, n := range w.nodes[1:] {
		if !n.core.willing(full.cfg.Member) {
			t.Errorf("node %d does not know that there is room again", n.id)
		}
	}
}

// TestLowTakesProposals: what is proposed where nobody has much room, a change of
// the ring say, is done.
func TestLowTakesProposals(t *testing.T) {
	n := lone(t, Config{})
	n.core.SetLow(true)
	var got op.Code
	n.core.Propose([]Proposal{{Cmd: []byte("x"), Done: func(r op.WriteResult) { got = r.Code }}})
	n.w.settle()
	if got != op.OK {
		t.Errorf("code %d", got)
	}
}
