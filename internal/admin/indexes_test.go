package admin

import (
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// TestSumReady: partitions are counted over their leaders; an index that some node
// does not know yet is there with what the others have.
func TestSumReady(t *testing.T) {
	doc := &ring.Document{Partitions: 8, Indexes: []ring.Index{{ID: 3, Name: "a"}, {ID: 5, Name: "b"}}}
	got := sumReady(doc, map[uint64]*NodeStatus{
		1: {Indexes: map[uint32]int{3: 4, 5: 6}},
		2: {Indexes: map[uint32]int{3: 3}},
		3: {Indexes: map[uint32]int{5: 3, 9: 8}}, // it was dropped
	})
	if len(got) != 2 || got[3] != 7 || got[5] != 8 {
		t.Errorf("%v", got)
	}
}
