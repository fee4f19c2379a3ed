package core

import (
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
)

func (n *testNode) standing() *Standing { return &n.core.groups[0].standing }

// TestLeaderVouchesForNothingBeforeItsTerm: a leader whose followers have not got
// the first entry of its term may not know of what was acknowledged before. The
// planted mistake lets it answer.
func TestLeaderVouchesForNothingBeforeItsTerm(t *testing.T) {
	for _, fault := range []bool{false, true} {
		w := &world{t: t}
		w.cluster(3, 0, 1, Config{SleepTicks: -1, Faults: Faults{LeadsUnproven: fault}})
		w.settle()
		ticks := func(until func() bool) {
			for range 200 {
				if until() {
					return
				}
				for _, n := range w.nodes {
					if !n.cut {
						n.core.Tick()
					}
				}
				w.settle()
			}
			t.Fatal("not within 200 ticks")
		}
		first, state := w.nodes[0], func(i int) raft.StateType { return w.nodes[i].core.groups[0].state }
		ticks(func() bool { return first.standing().Leads })
		first.cut = true
		w.parted = func(from, _ uint64) bool { return state(int(from)-1) == raft.StateLeader }
		ticks(func() bool { return state(1) == raft.StateLeader || state(2) == raft.StateLeader })
		for _, n := range w.nodes[1:] {
			s := n.standing()
			if s.Leads != (fault && n.core.groups[0].state == raft.StateLeader) {
				t.Errorf("fault %v: node %d says %+v", fault, n.id, *s)
			}
			if s.Term <= first.standing().Term {
				t.Errorf("node %d took part in an election and says term %d", n.id, s.Term)
			}
		}
	}
}

// TestVotersAloneConfirm: neither a learner nor anybody at all in a joint
// configuration makes up a majority. The planted mistake counts learners.
func TestVotersAloneConfirm(t *testing.T) {
	for _, fault := range []bool{false, true} {
		n := lone(t, Config{Faults: Faults{LearnersConfirm: fault}})
		g := n.core.groups[0]
		g.conf = &pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}
		n.core.stand(g)
		if g.standing.Majority(1, 4) != fault {
			t.Errorf("fault %v: a learner counts: %v", fault, !fault)
		}
		g.conf = &pb.ConfState{Voters: []uint64{1, 2, 4}, VotersOutgoing: []uint64{1, 2, 3}}
		n.core.stand(g)
		if g.standing.Majority(1, 2) || g.standing.Majority(1, 4) {
			t.Errorf("fault %v: two members are a majority of a joint configuration", fault)
		}
	}
}

func TestMajority(t *testing.T) {
	for _, c := range []struct {
		voters []uint64
		a, b   uint64
		want   bool
	}{
		{[]uint64{1, 2, 3}, 1, 2, true},
		{[]uint64{1, 2, 3}, 1, 1, false},
		{[]uint64{1, 2, 3}, 1, 4, false},
		{[]uint64{2, 3, 4}, 1, 2, false},
		{[]uint64{1, 2}, 1, 2, true},
		{[]uint64{1, 2, 3, 4}, 1, 2, false},
		{nil, 1, 2, false},
	} {
		if got := (&Standing{Voters: c.voters}).Majority(c.a, c.b); got != c.want {
			t.Errorf("%d and %d of %v: %v", c.a, c.b, c.voters, got)
		}
	}
}

// TestShown: a state that lacks what is known as committed is not shown.
func TestShown(t *testing.T) {
	s := &Standing{Commit: 7}
	for _, c := range []struct {
		res  op.ReadResult
		want bool
	}{
		{op.ReadResult{Code: op.OK, Position: 7}, true},
		{op.ReadResult{Code: op.NotFound, Position: 9}, true},
		{op.ReadResult{Code: op.OK, Position: 6}, false},
		{op.ReadResult{Code: op.Unavailable, Position: 7}, false},
	} {
		if s.Shown(&c.res) != c.want {
			t.Errorf("%+v: %v", c.res, !c.want)
		}
	}
}

// TestGoneReplicaSaysNothing: one that is about to be deleted takes part no more.
func TestGoneReplicaSaysNothing(t *testing.T) {
	n := lone(t, Config{})
	g := n.core.groups[0]
	if !g.standing.Leads {
		t.Fatalf("a lone replica does not lead: %+v", g.standing)
	}
	n.core.bury(g)
	if s := g.standing; s.Term != 0 || s.Leads {
		t.Errorf("it says %+v", s)
	}
}
