package replication

import (
	"slices"

	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// definer returns a function that makes the command with the indexes of the ring
// document for a group that does not have them yet; nil for the others. One caller
// at a time.
func (n *Node) definer(clock func() int64) func(group uint32) []byte {
	// The epoch of the document with which a group has been found to agree, so that
	// looking again costs nothing. It may fall back only with a snapshot, to what is
	// the same or older; a new leader looks for itself.
	agreed := make(map[uint32]uint64)
	return func(group uint32) []byte {
		doc, part := n.Ring(), n.part(group)
		if doc == nil || part == nil || group == ring.MetaPartition || agreed[group] == doc.Epoch {
			return nil
		}
		has, told := part.Indexes()
		if told >= doc.Epoch || sameIndexes(has, doc.Indexes) {
			agreed[group] = doc.Epoch
			return nil
		}
		return state.EncodeIndexes(nil, clock(), doc.Epoch, doc.Indexes)
	}
}

// ReadyIndexes counts, by the number of an index, the partitions led here in which it
// can be queried.
func (n *Node) ReadyIndexes() map[uint32]int {
	ready := make(map[uint32]int)
	for _, g := range n.Groups() {
		part := n.part(g.Group)
		if g.Group == ring.MetaPartition || part == nil || g.Match == nil {
			continue // not a partition, or led elsewhere
		}
		list, _ := part.Indexes()
		for _, x := range list {
			if x.Ready {
				ready[x.ID]++
			}
		}
	}
	return ready
}

// sameIndexes compares regardless of the order; numbers are unique.
func sameIndexes(has []state.IndexState, want []ring.Index) bool {
	return len(has) == len(want) && !slices.ContainsFunc(has, func(x state.IndexState) bool { return !slices.Contains(want, x.Index) })
}
