package replication

import (
	"fmt"

	"github.com/rosterdb/rosterdb/ring"
)

// A store whose joining was called off is no member any more, and gets another number when it is made one
// again: numbers are not given twice. What it has under the old one is deleted first. That needs nobody's word:
// the numbers of a ring only grow, so that a document with a higher one for this store is newer than the old
// number's end; and nobody is taken off the ring before its groups are at rest without it. The promises made
// under the old number stay in the tombs.

// anew tells whether a document gives this store another number than it has had.
func (n *Node) anew(doc *ring.Document, member uint64) bool {
	had := n.cfg.Dir.Member()
	return had != 0 && member > had && doc.Cluster == n.cfg.Dir.Cluster()
}

// disown has the replicas deleted that the store has under its old number: ErrRenumbered while there are any.
func (n *Node) disown() error {
	held := len(*n.parts.Load())
	if held == 0 {
		return nil
	}
	n.disowned = true
	if !n.inbox.call(n.core.Disown) {
		return ErrClosed
	}
	return fmt.Errorf("%w: %d replicas of member %d are deleted first", ErrRenumbered, held, n.cfg.Dir.Member())
}
