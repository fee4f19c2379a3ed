package core

import (
	"fmt"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestStagedOfAnEarlierPull: one snapshot is pulled, then another, then the first
// again. What is reported late of the first pull is not taken for word of the third:
// the second has thrown away what was staged.
func TestStagedOfAnEarlierPull(t *testing.T) {
	for _, faults := range []Faults{{}, {StagedByName: true}} {
		w := scrubWorld(t, faults)
		c := w.nodes[2].core
		g := c.groups[0]
		pull := func(name string) StageJob {
			c.beginPull(g, 1, []byte(name), &pb.Message{})
			job := c.next.Stages[len(c.next.Stages)-1]
			g.lead = 0 // nobody to give it to: what is done is seen to be
			return job
		}
		first := pull("a")
		pull("b")
		again := pull("a")
		if err := c.Staged(first, 1, true, nil); err != nil {
			t.Fatal(err)
		}
		if taken := g.in.done; taken != faults.StagedByName {
			t.Errorf("%+v: a report of the first pull is taken: %v", faults, taken)
		}
		if err := c.Staged(again, 0, false, nil); err != nil {
			t.Fatal(err)
		}
		if !g.in.opened {
			t.Errorf("%+v: the report of the third pull is not taken", faults)
		}
	}
}

// TestTakersOfADamagedState: a leader is found damaged when it has just told a
// follower of a picture, which that has not heard of, and leads on because nobody
// else can. After the repair it tells of another.
func TestTakersOfADamagedState(t *testing.T) {
	w := &world{t: t}
	w.cluster(3, 0, 1, Config{SleepTicks: -1, KeepEntries: 2, KeepBytes: 1})
	w.ticks(2)
	n, taker := w.nodes[0], w.nodes[2]
	g := n.core.groups[0]
	w.nodes[1].core.SetFull(true) // it would rather not lead
	taker.cut = true
	w.ticks(25) // it counts as down: the log is not kept for it
	for i := range 20 {
		n.core.Propose([]Proposal{{Cmd: fmt.Append(nil, i), Done: func(op.WriteResult) {}}})
		w.ticks(1)
	}
	taker.cut = false
	w.parted = func(from, to uint64) bool { return from == n.id && to == taker.id && n.core.inSnapshot(g, taker.id) }
	if !w.until(200, func() bool { return n.core.inSnapshot(g, taker.id) }) {
		t.Fatal("no snapshot is offered")
	}
	n.broken = true
	if err := n.core.Damaged(0, nil, n.state[0].index); err != nil {
		t.Fatal(err)
	}
	w.parted = nil
	if !w.until(200, func() bool { return !n.broken }) {
		t.Fatal("the state is not repaired")
	}
	if g.state != raft.StateLeader {
		t.Fatal("another leads: this shows nothing")
	}
	if !w.until(200, func() bool { return taker.state[0].index == n.state[0].index }) {
		t.Errorf("the taker waits for a picture that is gone: it has %d, the leader %d", taker.state[0].index, n.state[0].index)
	}
}
