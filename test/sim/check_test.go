package sim

import (
	"testing"

	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

// TestSurvivingBatchOfNewGroup: a batch that was being written at a crash and is whole counts, also where all that it
// has is of a group that this disk had nothing of; what nobody wrote is a violation.
func TestSurvivingBatchOfNewGroup(t *testing.T) {
	states := []wal.HardState{{Group: 7, Term: 4}}
	rec := &wal.Recovered{Groups: map[uint32]*wal.Group{7: {HardState: states[0]}}}
	for _, batch := range []*wal.Batch{{States: states}, nil} {
		w := &world{first: &ring.Document{}}
		c := newChecker(w)
		c.recovered(&node{w: w, batch: batch}, rec)
		if batch == nil {
			if w.err == nil {
				t.Error("a term that nobody wrote passes")
			}
			continue
		}
		if m := c.disks[diskKey{0, 7}]; w.err != nil || m == nil || m.hard.Term != 4 {
			t.Errorf("what survived: %+v, %v", m, w.err)
		}
	}
}
