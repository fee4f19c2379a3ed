package core

import (
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
)

func (n *testNode) feeds() bool { return n.core.groups[0] != nil && n.core.groups[0].feeds }

// learnerFeeds: a replica that is being made may not answer reads of changes before
// it is a voter.
func learnerFeeds(w *world) string {
	w.publish(w.document(2, []uint64{1, 2, 3}, []uint64{1, 2, 4}))
	late, seen, bad := w.nodes[3], false, ""
	w.until(500, func() bool {
		g, ok := late.group()
		if ok && slices.Contains(g.Learners, 4) && g.Leader != 0 {
			if seen = true; late.feeds() {
				bad = "a learner feeds"
			}
		}
		return ok && slices.Equal(g.Voters, []uint64{1, 2, 4}) && late.feeds()
	})
	switch {
	case bad != "":
		return bad
	case !seen:
		return "no learner was seen"
	case !late.feeds():
		return "the new voter does not feed"
	}
	return ""
}

// cutOffFeeds: nor may a follower that hears nothing of its leader.
func cutOffFeeds(w *world) string {
	n := w.nodes[2]
	if !w.until(100, n.feeds) {
		return "a follower does not feed"
	}
	n.cut = true
	if !w.until(100, func() bool { return !n.feeds() }) {
		return "a follower that is cut off feeds"
	}
	n.cut = false
	if !w.until(200, func() bool { return n.feeds() }) {
		return "it does not feed when it is back"
	}
	return ""
}

// laggardFeeds: nor one that has far more to apply than it has applied.
func laggardFeeds(w *world) string {
	n, done := w.nodes[2], 0
	n.slow = true
	for range feedLag + 10 {
		w.nodes[0].core.Propose([]Proposal{{Cmd: []byte("x"), Done: func(r op.WriteResult) {
			if r.Code == op.OK {
				done++
			}
		}}})
	}
	if !w.until(100, func() bool { return done > feedLag }) {
		return "the writes are not done"
	}
	w.ticks(5)
	if n.feeds() {
		return "a follower far behind feeds"
	}
	if !w.nodes[0].feeds() || !w.nodes[1].feeds() {
		return "those who have everything do not feed"
	}
	n.slow = false
	for len(n.late) > 0 {
		t := n.late[0]
		n.late = n.late[1:]
		n.run(&t)
		w.settle()
	}
	if !w.until(100, n.feeds) {
		return "it does not feed when it has everything"
	}
	return ""
}

// starvedFeeds: nor one that hears its leader's heartbeats and gets none of its appends.
func starvedFeeds(w *world) string {
	n, done := w.nodes[2], false
	if !w.until(100, n.feeds) {
		return "a follower does not feed"
	}
	n.starved = true
	w.nodes[0].core.Propose([]Proposal{{Cmd: []byte("x"), Done: func(r op.WriteResult) { done = r.Code == op.OK }}})
	if !w.until(100, func() bool { return done }) {
		return "the write is not done"
	}
	w.ticks(2*feedTicks + 10)
	if g, _ := n.group(); g.Leader != 1 || g.Applied == w.nodes[0].core.groups[0].applied {
		return "it is not the follower that this is about"
	}
	if n.feeds() {
		return "a follower without appends feeds"
	}
	n.starved = false
	if !w.until(200, n.feeds) {
		return "it does not feed when it has everything"
	}
	return ""
}

// busyFeeds: one that always has something to apply, and applies it, does feed.
func busyFeeds(w *world) string {
	n := w.nodes[2]
	if !w.until(100, n.feeds) {
		return "a follower does not feed"
	}
	n.slow = true
	for range 3 * feedTicks {
		w.nodes[0].core.Propose([]Proposal{{Cmd: []byte("x"), Done: func(op.WriteResult) {}}})
		w.ticks(1)
		if len(n.late) > 3 {
			t := n.late[0]
			n.late = n.late[1:]
			n.run(&t)
		}
		if w.settle(); !n.feeds() {
			return "a busy follower does not feed"
		}
	}
	if g, _ := n.group(); g.Applied == g.Commit {
		return "it was not behind all the time"
	}
	return ""
}

// TestTheStarvedDoNotFeed: a follower that has lacked for long what is committed answers
// no reads of changes, whatever it hears of its leader. The seeded fault lets it.
func TestTheStarvedDoNotFeed(t *testing.T) {
	if bad := runScenario(t, starvedFeeds, Faults{}); bad != "" {
		t.Error(bad)
	}
	if bad := runScenario(t, starvedFeeds, Faults{ArrearsIgnored: true}); bad != "a follower without appends feeds" {
		t.Errorf("with the seeded fault: %q", bad)
	}
	if bad := runScenario(t, busyFeeds, Faults{}); bad != "" {
		t.Error(bad)
	}
}

// withoutAppends leaves the appends out of a batch.
func withoutAppends(t *testing.T, batch []byte, from uint64) []byte {
	r, err := openBatch(batch, from)
	if err != nil {
		t.Fatal(err)
	}
	out := appendBatchHead(nil, r.flags, r.incarnation, r.to)
	for {
		before := r.rest
		rec, ok, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return sealBatch(out)
		}
		if rec.msg.GetType() != pb.MsgApp {
			out = append(out, before[:len(before)-len(r.rest)]...)
		}
	}
}

// TestOnlyTheFitFeed: reads of changes are for replicas that have what happens. The
// seeded fault lets any of them answer.
func TestOnlyTheFitFeed(t *testing.T) {
	for name, s := range map[string]scenario{"learner": learnerFeeds, "cut off": cutOffFeeds, "behind": laggardFeeds} {
		t.Run(name, func(t *testing.T) {
			if bad := runScenario(t, s, Faults{}); bad != "" {
				t.Error(bad)
			}
			if runScenario(t, s, Faults{AnyReplicaFeeds: true}) == "" {
				t.Error("the seeded fault is not seen")
			}
		})
	}
}

// TestTheAsleepFeed: a group that sleeps has nothing to say, and says it.
func TestTheAsleepFeed(t *testing.T) {
	w := &world{t: t}
	w.cluster(3, 0, 1, Config{SleepTicks: 3})
	if !w.until(100, func() bool { g, _ := w.nodes[2].group(); return g.Asleep }) {
		t.Fatal("the group does not sleep")
	}
	w.ticks(50)
	for _, n := range w.nodes {
		if g, _ := n.group(); !g.Asleep || !n.feeds() {
			t.Errorf("node %d: asleep %v, feeds %v", n.id, g.Asleep, n.feeds())
		}
	}
}
