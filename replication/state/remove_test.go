package state

import (
	"maps"
	"path/filepath"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestRemove: a partition that is removed is empty, also after a reopening; what
// must survive it does, until and beyond a new life of the partition.
func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := OpenStore(path, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	part := func(id uint32) *Partition {
		t.Helper()
		p, err := s.Partition(id)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	reopen := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = OpenStore(path, Options{NoSync: true}); err != nil {
			t.Fatal(err)
		}
	}
	fillPartition(t, part(7))
	fillPartition(t, part(8))
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	fresh := part(7).Apply(302, 1, EncodeOpen(nil, 1, "app@example.org")) // not flushed
	if fresh.Code != op.OK {
		t.Fatal(fresh)
	}
	tomb := Tomb{Index: 305, Term: 4, Vote: 2}
	if err := part(7).Remove(tomb); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p := part(7)
		if index, _ := p.Applied(); index != 0 || p.Tomb() != tomb || p.Durable() != tomb.Index || len(p.Conf()) != 0 {
			t.Errorf("applied %d, tomb %+v, durable %d", index, p.Tomb(), p.Durable())
		}
		if index, _ := part(8).Applied(); index != 301 || part(8).Tomb() != (Tomb{}) {
			t.Errorf("the other partition: applied %d, tomb %+v", index, part(8).Tomb())
		}
		removed, err := s.Removed()
		if err != nil || !maps.Equal(removed, map[uint32]Tomb{7: tomb}) {
			t.Errorf("removed: %v, %v", removed, err)
		}
		reopen()
	}
	for more := true; more; {
		if more, err = s.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	// A new life begins behind the tomb.
	part(7).SetConf(310, 5, []byte("conf"))
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	reopen()
	if index, _ := part(7).Applied(); index != 310 || part(7).Tomb() != tomb || part(7).Durable() != 310 {
		t.Errorf("new life: applied %d, tomb %+v, durable %d", index, part(7).Tomb(), part(7).Durable())
	}
	if removed, err := s.Removed(); err != nil || len(removed) != 0 {
		t.Errorf("removed: %v, %v", removed, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
