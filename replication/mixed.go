package replication

import (
	"sync/atomic"
	"time"
)

// mixedFor is how long a batch of a format that this node does not know counts: members send some each second.
const mixedFor = 30 * time.Second

// mixed is whether peers send what this node cannot read.
type mixed struct {
	at atomic.Int64 // when such a batch came last, in nanoseconds since the node's start; 0: never
}

// note takes such a batch and tells whether it is the first in mixedFor.
func (m *mixed) note(since time.Duration) (first bool) {
	at := m.at.Swap(int64(since))
	return at == 0 || since-time.Duration(at) > mixedFor
}

// Mixed tells whether another member sent something within the last 30 s that this node cannot read, since it is of another
// version: what it holds is no copy of what is written meanwhile. Safe for concurrent use.
func (n *Node) Mixed() bool {
	at := n.mixed.at.Load()
	return at != 0 && time.Since(n.began)-time.Duration(at) <= mixedFor && !n.cfg.Faults.VersionUntold
}
