package core

import (
	"reflect"
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
)

// scrubWorld has three nodes, of which the first leads.
func scrubWorld(t *testing.T, faults Faults) *world {
	w := &world{t: t}
	w.cluster(3, 0, 1, Config{SleepTicks: -1, Faults: faults})
	w.ticks(2)
	return w
}

// digest tells a digest of a node, and what the leader makes of it.
func (w *world) digest(node int, index, sum uint64) {
	w.nodes[node].core.Digest(0, index, sum)
	w.ticks(2)
}

func TestDigests(t *testing.T) {
	for _, tc := range []struct {
		name  string
		told  [3][2]uint64
		want  Scrub
		heard bool
	}{
		{"all agree", [3][2]uint64{{9, 1}, {9, 1}, {9, 1}}, Scrub{Index: 9, Told: 3, Agree: 3}, true},
		{"a follower differs", [3][2]uint64{{9, 1}, {9, 1}, {9, 2}}, Scrub{Index: 9, Told: 3, Agree: 2, Wrong: []uint64{3}}, true},
		{"the leader differs", [3][2]uint64{{9, 3}, {9, 1}, {9, 1}}, Scrub{Index: 9, Told: 3, Agree: 2, Wrong: []uint64{1}}, true},
		{"none is a majority", [3][2]uint64{{9, 1}, {9, 2}, {9, 3}}, Scrub{Index: 9, Told: 3, Undecided: true}, true},
		{"other indexes prove nothing", [3][2]uint64{{9, 1}, {9, 1}, {8, 2}}, Scrub{Index: 9, Told: 2, Agree: 2}, true},
		{"one of three proves nothing", [3][2]uint64{{9, 1}, {8, 1}, {7, 2}}, Scrub{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := scrubWorld(t, Faults{})
			for i, d := range tc.told {
				w.digest(i, d[0], d[1])
			}
			got := w.nodes[0].scrubs
			if !tc.heard {
				if len(got) > 0 {
					t.Errorf("%+v", got)
				}
				return
			}
			tc.want.Voters = 3
			if len(got) == 0 || !reflect.DeepEqual(got[len(got)-1], tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			for i, n := range w.nodes {
				if told := slices.Contains(tc.want.Wrong, uint64(i+1)); told != (len(n.damages) > 0) {
					t.Errorf("node %d is told to repair its state: %v", i+1, n.damages)
				}
			}
		})
	}
	w := scrubWorld(t, Faults{DigestOfAnyIndex: true})
	w.digest(0, 9, 1)
	w.digest(1, 9, 1)
	w.digest(2, 8, 2)
	if len(w.nodes[2].damages) == 0 {
		t.Error("with the seeded fault a healthy replica is not told to repair its state")
	}
}

// TestRepair: a damaged replica gives leadership away, gets the state of another,
// and then applies what came meanwhile.
func TestRepair(t *testing.T) {
	w := scrubWorld(t, Faults{})
	propose := func(node int, v string) {
		w.nodes[node].core.Propose([]Proposal{{Group: 0, Cmd: []byte(v), Done: func(r op.WriteResult) { w.printf("%s: %d", v, r.Code) }}})
		w.ticks(3)
	}
	propose(0, "a")
	n := w.nodes[0]
	n.broken = true
	for _, other := range w.nodes[1:] {
		other.sent, other.keep, other.most = 0, 1000, 1 // no frame arrives
	}
	if err := n.core.Damaged(0, nil, n.state[0].index); err != nil {
		t.Fatal(err)
	}
	w.ticks(10)
	if lead := w.nodes[1].core.groups[0].lead; lead == 1 || lead == 0 {
		t.Fatalf("member %d leads while the first is damaged", lead)
	}
	for _, other := range w.nodes[1:] {
		other.most = 0
	}
	propose(int(w.nodes[1].core.groups[0].lead)-1, "b")
	w.ticks(100)
	if n.broken || !slices.Equal(n.state[0].values, []string{"a", "b"}) {
		t.Errorf("broken %v, values %v\n%s", n.broken, n.state[0].values, w.out.String())
	}
	if len(n.core.repairing)+len(n.core.pulling) > 0 {
		t.Error("the repair has no end")
	}
}

// TestRepairByWhoLeaves: in a joint configuration the only other replica that has all
// may be one that leaves, or a learner.
func TestRepairByWhoLeaves(t *testing.T) {
	for _, conf := range []*pb.ConfState{
		{Voters: []uint64{1, 9}, VotersOutgoing: []uint64{1, 2}},
		{Voters: []uint64{1}, Learners: []uint64{2}},
	} {
		w := scrubWorld(t, Faults{})
		n := w.nodes[0]
		n.core.groups[0].conf = conf
		n.broken = true
		if err := n.core.Damaged(0, nil, n.state[0].index); err != nil {
			t.Fatal(err)
		}
		if !w.until(3*repairTicks, func() bool { return !n.broken }) {
			t.Errorf("%v: not repaired", conf)
		}
	}
}

// TestRepairUnderWrites: what is committed during a repair is applied after it, in
// order, also where the caller is late to say what could not be done.
func TestRepairUnderWrites(t *testing.T) {
	want := []string{"a", "b", "c", "d"}
	if got := repairUnderWrites(t, Faults{}); !slices.Equal(got, want) {
		t.Errorf("values %v, want %v", got, want)
	}
	if got := repairUnderWrites(t, Faults{RepairOvertaken: true}); slices.Equal(got, want) {
		t.Error("with the seeded fault nothing overtakes what waits for the repair")
	}
}

func repairUnderWrites(t *testing.T, faults Faults) []string {
	w := scrubWorld(t, faults)
	propose := func(v string) {
		w.nodes[0].core.Propose([]Proposal{{Cmd: []byte(v), Done: func(op.WriteResult) {}}})
		w.ticks(3)
	}
	propose("a")
	n := w.nodes[2]
	n.slow = true
	propose("b") // handed out before the damage is known
	n.broken = true
	for _, other := range w.nodes[:2] {
		other.sent, other.keep, other.most = 0, 1000, 1 // no frame arrives
	}
	if err := n.core.Damaged(0, nil, n.state[0].index); err != nil {
		t.Fatal(err)
	}
	w.ticks(repairTicks + 2)
	propose("c") // not in the picture that was offered
	for _, other := range w.nodes[:2] {
		other.most = 0
	}
	if !w.until(100, func() bool { return n.core.groups[0].repair.swap }) {
		t.Fatal("the state does not arrive")
	}
	propose("d")
	var undone []Task
	for _, task := range n.late {
		if n.broken && task.Restore == nil {
			undone = append(undone, task)
			continue
		}
		n.run(&task)
	}
	n.slow, n.late = false, nil
	for i := range undone {
		_ = n.core.Damaged(0, &undone[i], n.state[0].index)
	}
	w.ticks(5)
	if faults == (Faults{}) && (n.core.groups[0].tasks > 0 || len(n.core.repairing) > 0) {
		t.Error("the repair has no end")
	}
	return n.state[0].values
}

// TestNoPictureOfADamagedState: one that was being taken when the damage was found
// is given to nobody.
func TestNoPictureOfADamagedState(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		w := scrubWorld(t, Faults{})
		n := w.nodes[0]
		g, st := n.core.groups[0], n.state[0]
		n.core.makePicture(g)
		job := PictureJob{Group: 0, Number: g.snap.number}
		if damaged {
			if err := n.core.Damaged(0, nil, st.index); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.core.PictureDone(job, st.index, st.term, st.conf, nil); err != nil {
			t.Fatal(err)
		}
		if held := g.snap.phase == snapReady; held == damaged || slices.Contains(n.core.next.Closed, job.Number) != damaged {
			t.Errorf("damaged %v: held %v, closed %v", damaged, held, n.core.next.Closed)
		}
	}
}
