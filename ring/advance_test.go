package ring

import (
	"fmt"
	"slices"
	"testing"
)

// grown is a ring of three in which a fourth is joining, and the partition that
// the case below looks at.
func grown(t *testing.T) (*Document, uint32) {
	t.Helper()
	var m []Member
	for i := range 4 {
		m = append(m, Member{JID: fmt.Sprintf("dn%d@d/store", i), Store: fmt.Sprintf("00000000-0000-4000-8000-%012d", i)})
	}
	d, err := New(m[:3], Options{Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Partitions: 8})
	if err != nil {
		t.Fatal(err)
	}
	with := d.NewMember(slices.Clone(d.Members), m[3])
	with[0].State = Leaving
	pl, err := MakePlan(d, with, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d, err = pl.Begin(d, with, "x", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := slices.IndexFunc(d.Change.Target, func(row []uint64) bool { return slices.Contains(row, 4) })
	return d, uint32(p)
}

// TestAdvanceTakesOnlyWhatIsReached: each bug that could be in what counts as
// reached is planted, and seen.
func TestAdvanceTakesOnlyWhatIsReached(t *testing.T) {
	d, p := grown(t)
	want := d.Change.Target[p]
	good := Report{Voters: want, Epoch: d.Epoch}
	joint, learning, early := good, good, good
	joint.Joint = true
	learning.Learners = []uint64{9}
	early.Epoch--
	for _, c := range []struct {
		name    string
		reports map[uint32]Report
		bug     faults
	}{
		{"no report", nil, faults{unreported: true}},
		{"another group's report", map[uint32]Report{p + 1: good}, faults{unreported: true}},
		{"joint", map[uint32]Report{p: joint}, faults{joint: true}},
		{"of before the round", map[uint32]Report{p: early}, faults{stale: true}},
		{"old replicas", map[uint32]Report{p: {Voters: d.Table[p], Epoch: d.Epoch}}, faults{unreported: true}},
		{"learners left", map[uint32]Report{p: learning}, faults{unreported: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			moved := func(next *Document) bool { return next != nil && slices.Equal(next.Table[p], want) }
			if moved(advance(d, c.reports, faults{})) {
				t.Error("the row moved")
			}
			if !moved(advance(d, c.reports, c.bug)) {
				t.Error("the planted bug shows nothing")
			}
		})
	}
}

// TestAdvanceGoesOn: a row moves when its group has what is wanted, and nobody is
// removed before all have.
func TestAdvanceGoesOn(t *testing.T) {
	d, p := grown(t)
	want := d.Change.Target[p]
	good := Report{Voters: want, Epoch: d.Epoch}
	next := Advance(d, map[uint32]Report{p: good})
	if next == nil || !slices.Equal(next.Table[p], want) || next.Change == nil {
		t.Fatalf("reached, yet not in the table: %+v", next)
	}
	if slices.Equal(d.Table[p], want) {
		t.Error("Advance wrote to its argument")
	}
	if m, ok := next.Member(1); !ok || m.State != Leaving {
		t.Errorf("member 1 before the end: %+v", m)
	}
	if hasty := advance(d, map[uint32]Report{p: good}, faults{hasty: true}); hasty.Change != nil || hasty.Validate() == nil {
		t.Error("the planted bug, an early end, shows nothing")
	}
	paused, _ := d.Pause()
	if Advance(paused, map[uint32]Report{p: {Voters: want, Epoch: paused.Epoch}}) != nil {
		t.Error("a paused change moved")
	}
}
