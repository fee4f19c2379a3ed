package core

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// scenario is a change of a group's replicas on four nodes, of which the first
// three begin with it; it returns what went wrong.
type scenario func(w *world) string

func runScenario(t *testing.T, s scenario, f Faults) string {
	t.Helper()
	old := rand.Reader // of election time-outs
	defer func() { rand.Reader = old }()
	rand.Reader = mathrand.NewChaCha8([32]byte{8})
	w := &world{t: t}
	w.cluster(3, 1, 1, Config{SleepTicks: -1, KeepEntries: 4, Faults: f})
	w.ticks(10)
	return s(w)
}

func (w *world) ticks(n int) {
	for range n {
		for _, n := range w.nodes {
			if n.core != nil {
				n.core.Tick()
			}
		}
		w.settle()
	}
}

// document tells everybody which replicas the group has and should have.
func (w *world) document(epoch uint64, row, goal []uint64) *ring.Document {
	doc := &ring.Document{Epoch: epoch, Partitions: 1, Table: [][]uint64{row}}
	for _, n := range w.nodes {
		doc.Members = append(doc.Members, ring.Member{ID: n.id, State: ring.Active})
	}
	if goal != nil {
		doc.Change = &ring.Change{ID: "x", Target: [][]uint64{goal}, Since: epoch}
	}
	return doc
}

func (w *world) publish(doc *ring.Document) {
	w.doc = doc
	for _, n := range w.nodes {
		if n.core != nil {
			n.core.SetRing(doc)
			n.takeUp(0)
		}
	}
	w.settle()
}

func (n *testNode) group() (GroupStatus, bool) {
	if n.core == nil || len(n.core.Groups()) == 0 {
		return GroupStatus{}, false
	}
	return n.core.Groups()[0], true
}

// write proposes at a node and returns the answer, if there is one within 60 ticks.
func (w *world) write(n *testNode, value string) (code op.Code) {
	n.core.Propose([]Proposal{{Cmd: []byte(value), Done: func(r op.WriteResult) { code = r.Code }}})
	for i := 0; i < 60 && code == 0; i++ {
		w.ticks(1)
	}
	return code
}

// until ticks until ok, at most so many times.
func (w *world) until(ticks int, ok func() bool) bool {
	for range ticks {
		if ok() {
			return true
		}
		w.ticks(1)
	}
	return ok()
}

// swapped waits until a node has the voters as its configuration, and no others.
func (w *world) swapped(n *testNode, voters ...uint64) bool {
	return w.until(500, func() bool {
		g, ok := n.group()
		return ok && slices.Equal(g.Voters, voters) && !g.Joint
	})
}

// jointly: a replica is replaced by way of a joint configuration.
func jointly(w *world) string {
	joint := false
	w.publish(w.document(2, []uint64{1, 2, 3}, []uint64{1, 2, 4}))
	if !w.until(200, func() bool {
		g, _ := w.nodes[0].group()
		joint = joint || g.Joint
		return slices.Equal(g.Voters, []uint64{1, 2, 4})
	}) {
		return "the replica is not replaced"
	}
	if !joint {
		return "voters are swapped without a joint configuration"
	}
	return ""
}

// leaderGoes: the leader is replaced; it gives leadership away and never leads a
// group that it is no member of.
func leaderGoes(w *world) string {
	w.publish(w.document(2, []uint64{1, 2, 3}, []uint64{2, 3, 4}))
	bad := ""
	done := w.until(300, func() bool {
		if g, ok := w.nodes[0].group(); ok && g.Leader == 1 && !slices.Contains(g.Voters, 1) {
			bad = "node 1 leads and is no member"
		}
		g, _ := w.nodes[1].group()
		return g.Leader == 2 && slices.Equal(g.Voters, []uint64{2, 3, 4}) && !g.Joint
	})
	if !done && bad == "" {
		bad = "the preferred replica does not lead, or the leader is not replaced"
	}
	return bad
}

// slowLearner: while a learner takes a snapshot much is written. It goes on from
// the log and needs no second one.
func slowLearner(w *world) string {
	w.nodes[3].stall = true
	w.publish(w.document(2, []uint64{1, 2, 3}, []uint64{1, 2, 4}))
	if !w.until(50, func() bool { return w.nodes[3].state[0].index > 0 }) {
		return "no snapshot arrives"
	}
	for i := range 100 {
		w.nodes[0].core.Propose([]Proposal{{Cmd: fmt.Append(nil, i), Done: func(op.WriteResult) {}}})
		w.settle()
	}
	w.nodes[3].hold = false
	if !w.swapped(w.nodes[0], 1, 2, 4) {
		return "the learner does not catch up"
	}
	if n := strings.Count(w.out.String(), "node 4: group 0 restored"); n > 1 {
		return fmt.Sprintf("the learner takes %d snapshots", n)
	}
	return ""
}

// wrongDocument: a node hears of a document without it that is not true (yet, or
// any more). It keeps its replica, for the leader has it in the configuration.
func wrongDocument(w *world) string {
	w.nodes[2].core.SetRing(w.document(2, []uint64{1, 2, 4}, nil))
	w.ticks(100)
	if w.nodes[2].state[0].index == 0 {
		return "a replica in use is deleted on the word of a document"
	}
	w.publish(w.document(3, []uint64{1, 2, 4}, []uint64{1, 2, 4}))
	if !w.until(200, func() bool { _, ok := w.nodes[2].group(); return !ok }) {
		return "a replica that is replaced is never deleted"
	}
	return ""
}

// comesBack: member 3 leaves and comes back while member 2, which has slept
// through all that, still counts it as a voter. An empty replica must not make
// member 2 a leader.
func comesBack(w *world) string {
	w.nodes[1].cut = true
	w.publish(w.document(2, []uint64{1, 2, 3}, []uint64{1, 2, 4}))
	if !w.swapped(w.nodes[0], 1, 2, 4) {
		return "member 3 is not replaced"
	}
	w.publish(w.document(3, []uint64{1, 2, 4}, nil))
	if !w.until(200, func() bool { _, ok := w.nodes[2].group(); return !ok }) {
		return "member 3 is not deleted"
	}
	// Members 2 and 3 are on one side now, 1 and 4 on the other.
	w.nodes[1].cut = false
	w.parted = func(from, to uint64) bool { return (from == 2 || from == 3) != (to == 2 || to == 3) }
	w.publish(w.document(4, []uint64{1, 2, 4}, []uint64{1, 3, 4}))
	w.ticks(60)
	for _, n := range w.nodes[1:3] {
		if code := w.write(n, "split"); code == op.OK {
			return "a write is acknowledged by a member of the past and an empty replica"
		}
	}
	if code := w.write(w.nodes[0], "x"); code != op.OK {
		return "the majority does not go on"
	}
	w.parted = nil
	if !w.swapped(w.nodes[0], 1, 3, 4) {
		return "member 3 does not come back"
	}
	if !w.until(200, func() bool { return slices.Equal(w.nodes[0].state[0].values, w.nodes[2].state[0].values) }) {
		return "member 3 does not catch up"
	}
	return ""
}

// oldVoterNeeded: the leader knows that the joint configuration is left, the others
// do not yet. If it is lost then, the vote of the member that was replaced is
// needed for once more.
func oldVoterNeeded(w *world) string {
	w.nodes[2].cut = true
	w.publish(w.document(2, []uint64{1, 3, 4}, []uint64{1, 3, 4}))
	if !w.until(200, func() bool {
		g, _ := w.nodes[0].group()
		return slices.Equal(g.Voters, []uint64{1, 3, 4}) && !g.Joint
	}) {
		return "member 2 is not replaced"
	}
	if g, _ := w.nodes[3].group(); !g.Joint {
		return "the scenario misses its moment: member 4 knows already"
	}
	w.nodes[3].cut = true
	old := w.nodes[1].core
	for range 4 { // less than it takes the leader to notice that it is alone
		if g := old.groups[0]; g != nil && !g.gone {
			old.ask(g)
		}
		w.ticks(1)
	}
	w.nodes[0].core = nil // lost
	w.nodes[2].cut, w.nodes[3].cut = false, false
	if !w.until(300, func() bool {
		g, _ := w.nodes[3].group()
		return g.Leader != 0 && g.Leader != 1
	}) {
		return "two of three replicas are there, and none can be elected"
	}
	return ""
}

// TestSeededBugsOfChanges: each scenario goes well with the sound engine, and
// shows the mistake that it is about.
func TestSeededBugsOfChanges(t *testing.T) {
	for name, c := range map[string]struct {
		run scenario
		bug Faults
	}{
		"joint change skipped":               {jointly, Faults{SkipJoint: true}},
		"leadership kept after removal":      {leaderGoes, Faults{LeadAfterRemoval: true}},
		"truncation past a learner":          {slowLearner, Faults{TruncatePastLearner: true}},
		"replica deleted by a document":      {wrongDocument, Faults{GoneByDocument: true}},
		"an empty replica votes":             {comesBack, Faults{EmptyVotes: true}},
		"old voters are forgotten too early": {oldVoterNeeded, Faults{ForgetOldVoters: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if bad := runScenario(t, c.run, Faults{}); bad != "" {
				t.Errorf("the sound engine: %s", bad)
			}
			if bad := runScenario(t, c.run, c.bug); bad == "" {
				t.Error("the planted bug shows nothing")
			} else {
				t.Log("the planted bug:", bad)
			}
		})
	}
}

// TestStepOfAnEarlierTermIsForgotten: a leader proposes a change, loses leadership
// and the entry, and leads again: it must not wait for that entry.
func TestStepOfAnEarlierTermIsForgotten(t *testing.T) {
	bad := runScenario(t, func(w *world) string {
		w.parted = func(from, to uint64) bool { return (from == 1 || from == 4) != (to == 1 || to == 4) }
		for i := range 40 {
			w.nodes[0].core.Propose([]Proposal{{Cmd: fmt.Append(nil, i), Done: func(op.WriteResult) {}}})
		}
		w.publish(w.document(2, []uint64{1, 2, 3}, []uint64{1, 2, 4}))
		for range 8 { // less than it takes the leader to notice that it is alone
			w.nodes[0].core.Tick()
			w.nodes[3].core.Tick()
			w.settle()
		}
		g := w.nodes[0].core.groups[0]
		lost := g.moving.change
		if lost == 0 {
			return "the scenario misses its moment: no change is proposed"
		}
		if !w.until(100, func() bool { g, _ := w.nodes[1].group(); return g.Leader == 2 || g.Leader == 3 }) {
			return "nobody else leads"
		}
		w.parted = nil
		w.nodes[3].cut = true // or the group would move meanwhile
		if !w.until(200, func() bool { g, _ := w.nodes[0].group(); return g.Leader == 1 }) {
			return "the preferred replica does not lead again"
		}
		w.nodes[3].cut = false
		if last := g.log.last(); last >= lost {
			return fmt.Sprintf("the scenario misses its moment: the log reaches to %d, the change was at %d", last, lost)
		}
		if !w.swapped(w.nodes[0], 1, 2, 4) {
			return "the group does not move: " + g.moving.why
		}
		return ""
	}, Faults{})
	if bad != "" {
		t.Error(bad)
	}
}

// TestPhantomAck: the leader believes that a new learner has what an earlier
// replica of the same member had. It must not become a voter for that, and must
// catch up in the end.
func TestPhantomAck(t *testing.T) {
	bad := runScenario(t, func(w *world) string {
		leader, learner := w.nodes[0], w.nodes[3]
		learner.tombs[0] = Tomb{Index: 1, Term: 2}
		learner.start()
		w.publish(w.document(2, []uint64{1, 2, 3, 4}, []uint64{1, 2, 3}))
		w.ticks(10) // they know one another
		w.parted = func(from, to uint64) bool { return from == 4 || to == 4 }
		w.publish(w.document(3, []uint64{1, 2, 3}, []uint64{1, 2, 4}))
		if !w.until(20, func() bool { g, _ := leader.group(); return slices.Contains(g.Learners, 4) }) {
			return "member 4 does not become a learner"
		}
		g := leader.core.groups[0]
		ack := &pb.Message{Type: pb.MsgAppResp.Enum(), Term: new(g.term), Index: new(g.confAt - 1)}
		if err := leader.core.Receive(4, batchOf(leader.id, ack)); err != nil {
			return err.Error()
		}
		w.settle()
		w.parted = nil
		for range 2 * stuckTicks {
			w.ticks(1)
			if g, _ := leader.group(); slices.Contains(g.Voters, 4) && learner.state[0].index == 0 {
				return "an empty replica is made a voter"
			}
		}
		if !w.swapped(leader, 1, 2, 4) {
			return "the learner never catches up: " + g.moving.why
		}
		return ""
	}, Faults{})
	if bad != "" {
		t.Error(bad)
	}
}
