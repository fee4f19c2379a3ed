package replication

import (
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
)

// ViewRoot shows one root of a group held here as far as it is applied, without
// asking anybody; what it shows may be old. To have it new enough, wait for a
// Stale read of MaxAge 0 of the group first. Errors: ErrNotHeld, those of
// state.Partition.ViewRoot.
func (n *Node) ViewRoot(group uint32, root string) (*state.RootView, error) {
	part := n.part(group)
	if part == nil {
		return nil, fmt.Errorf("%w: group %d", ErrNotHeld, group)
	}
	return part.ViewRoot(root)
}

// ReadApplied answers a read from what is applied here, as ViewRoot does. Errors:
// ErrNotHeld.
func (n *Node) ReadApplied(group uint32, r *op.Read) (op.ReadResult, error) {
	part := n.part(group)
	if part == nil {
		return op.ReadResult{}, fmt.Errorf("%w: group %d", ErrNotHeld, group)
	}
	return part.Read(r), nil
}
