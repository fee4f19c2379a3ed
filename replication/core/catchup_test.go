package core

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// longLog is a world of three nodes that would keep 800 entries of a group, and a
// function that has so many more written, ten a tick.
func longLog(t *testing.T, f Faults) (w *world, write func(n int)) {
	t.Helper()
	w = &world{t: t}
	w.cluster(3, 0, 1, Config{SleepTicks: -1, KeepEntries: 800, MaxLog: 1 << 20, Faults: f})
	w.ticks(4)
	return w, func(n int) {
		for range n / 10 {
			for range 10 {
				w.nodes[0].core.Propose([]Proposal{{Cmd: make([]byte, 200), Done: func(op.WriteResult) {}}})
			}
			w.ticks(1)
		}
	}
}

// TestLevelGroupsKeepLess: where all have everything, and much is kept in all, leader and
// followers keep an eighth.
func TestLevelGroupsKeepLess(t *testing.T) {
	w, write := longLog(t, Faults{})
	write(2000)
	for _, n := range w.nodes {
		c := n.core
		if c.logBytes > c.cfg.MaxLog/levelPart+16<<10 {
			t.Errorf("node %d keeps %d entries, %d bytes", n.id, len(c.groups[0].log.ents), c.logBytes)
		}
	}
}

// TestLogKeptForWhoIsAway: what a follower misses that is away is kept up to the whole bound,
// so that it needs no snapshot.
func TestLogKeptForWhoIsAway(t *testing.T) {
	for _, f := range []Faults{{}, {LevelAssumed: true}} {
		w, write := longLog(t, f)
		leader, away := w.nodes[0], w.nodes[2]
		write(400)
		away.cut = true
		w.ticks(25) // it counts as down
		write(700)
		has := away.core.groups[0].log.last()
		if kept := leader.core.groups[0].log.offset <= has; kept == f.LevelAssumed {
			t.Errorf("assumed level %v: what the follower misses is kept: %v", f.LevelAssumed, kept)
		}
		away.cut = false
		if !w.until(400, func() bool { return away.state[0].index == leader.state[0].index }) {
			t.Errorf("assumed level %v: the follower does not catch up", f.LevelAssumed)
		}
		if snapshot := leader.core.pictures > 0; snapshot != f.LevelAssumed {
			t.Errorf("assumed level %v: it took a snapshot: %v", f.LevelAssumed, snapshot)
		}
	}
}
