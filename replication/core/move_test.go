package core

import (
	"slices"
	"testing"

	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"pgregory.net/rapid"
)

// apply makes a change valid, by raft's own rules.
func apply(t rapid.TB, cs *pb.ConfState, cc *pb.ConfChangeV2) *pb.ConfState {
	t.Helper()
	c := confchange.Changer{Tracker: tracker.MakeProgressTracker(8, 0), LastIndex: 8}
	cfg, prs, err := confchange.Restore(c, cs)
	if err != nil {
		t.Fatalf("%v: %v", cs, err)
	}
	c.Tracker.Config, c.Tracker.Progress = cfg, prs
	if cc.LeaveJoint() {
		cfg, prs, err = c.LeaveJoint()
	} else if auto, joint := cc.EnterJoint(); joint {
		cfg, prs, err = c.EnterJoint(auto, cc.Changes...)
	} else {
		cfg, prs, err = c.Simple(cc.Changes...)
	}
	if err != nil {
		t.Fatalf("%v after %v: %v", cc, cs, err)
	}
	c.Tracker.Config, c.Tracker.Progress = cfg, prs
	return c.Tracker.ConfState()
}

// TestStepsLeadToAnyGoal: whatever the goal, and however often it changes under
// way, the steps are legal, replace one replica at a time, and end at the goal.
func TestStepsLeadToAnyGoal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := func(label string) []uint64 {
			ids := rapid.Permutation([]uint64{1, 2, 3, 4, 5, 6, 7}).Draw(t, label)
			return ids[:rapid.SampledFrom([]int{1, 3, 5}).Draw(t, label+" size")]
		}
		first := slices.Sorted(slices.Values(row("first")))
		cs := &pb.ConfState{Voters: first}
		for range rapid.IntRange(1, 4).Draw(t, "goals") {
			goal := row("goal")
			steps := rapid.IntRange(0, 40).Draw(t, "steps before the next goal")
			for range steps {
				cs = step(t, cs, goal, rapid.Bool().Draw(t, "ready"))
			}
		}
		goal := row("last goal")
		for range 40 {
			if atGoal(cs, goal) {
				return
			}
			cs = step(t, cs, goal, true)
		}
		t.Fatalf("%v does not become %v", cs, goal)
	})
}

func step(t rapid.TB, cs *pb.ConfState, goal []uint64, ready bool) *pb.ConfState {
	t.Helper()
	cc := nextChange(cs, goal, func(uint64) bool { return ready }, func(uint64) int { return 0 })
	if cc == nil {
		return cs
	}
	next := apply(t, cs, cc)
	gone, come := 0, 0
	for _, id := range cs.GetVoters() {
		if !slices.Contains(next.GetVoters(), id) {
			gone++
		}
	}
	for _, id := range next.GetVoters() {
		if !slices.Contains(cs.GetVoters(), id) {
			come++
			if !slices.Contains(cs.GetLearners(), id) {
				t.Fatalf("%v became %v: a voter that was no learner", cs, next)
			}
		}
	}
	if gone > 1 || come > 1 || gone+come > 1 && len(next.GetVotersOutgoing()) == 0 {
		t.Fatalf("%v became %v", cs, next)
	}
	return next
}
