package ring

import (
	"slices"
	"testing"
)

// TestCancelTakesNumberBack: a number of replicas that no partition has is not left
// behind by a change that was called off, so that the cluster may shrink again; one
// that a partition has stays.
func TestCancelTakesNumberBack(t *testing.T) {
	d, err := New(drawnMembers(5, func(int, *Member) {}), Options{Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Partitions: 8})
	if err != nil {
		t.Fatal(err)
	}
	before := d.Replicas
	from := *d
	from.Replicas = 5
	pl, err := MakePlan(&from, d.Members, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	running, err := pl.Begin(&from, d.Members, "more", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	partly := running.Next()
	partly.Table[2] = running.Change.Target[2] // with one replica more
	for _, c := range []struct {
		name string
		d    *Document
		bug  faults
		want int
	}{
		{"at once", running, faults{}, before},
		{"one partition has more", partly, faults{}, before + 1},
		{"planted: the number stays", running, faults{greedy: true}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			off, err := c.d.Cancel()
			if err != nil {
				t.Fatal(err)
			}
			if off.Replicas != 5 {
				t.Errorf("%d replicas while groups come to rest: they may yet have them", off.Replicas)
			}
			reports := map[uint32]Report{MetaPartition: {Voters: off.Meta, Epoch: off.Epoch}}
			for p, row := range off.Table {
				reports[uint32(p)] = Report{Voters: row, Epoch: off.Epoch}
			}
			done := advance(off, reports, c.bug)
			if done == nil || done.Change != nil || done.Replicas != c.want {
				t.Fatalf("%+v, want %d replicas and no change", done, c.want)
			}
			if err := done.Validate(); err != nil {
				t.Error(err)
			}
			if err := shrinkTo(done, c.want); err != nil {
				t.Errorf("the cluster does not shrink to the %d nodes that it needs: %v", c.want, err)
			}
		})
	}
}

// shrinkTo begins a change that leaves n members.
func shrinkTo(d *Document, n int) error {
	fewer := slices.Clone(d.Members)
	for i := range fewer[n:] {
		fewer[n+i].State = Leaving
	}
	pl, err := MakePlan(d, fewer, PlanOptions{})
	if err != nil {
		return err
	}
	_, err = pl.Begin(d, fewer, "fewer", 0, 0)
	return err
}
