package replication

import (
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// Node runs the replicas of one data directory. Its methods are safe for
// concurrent use.
type Node struct {
	cfg Config
}

// Open recovers WAL and state of cfg.Dir and starts the groups of the stored
// ring document, if there is one.
func Open(cfg Config) (*Node, error) { return &Node{cfg: cfg}, nil }

// Reconcile brings the node in line with a ring document: it persists the
// document and creates the groups this store holds. It is idempotent; an older
// document than the known one is ignored. Only a document of epoch 1 gives new
// groups their first membership; replicas that come later wait for a snapshot
// of the leader. Errors: ErrStranger, ErrForeignCluster, ErrLostState, ErrClosed.
func (n *Node) Reconcile(doc *ring.Document) error { return nil }

// Receive takes a batch that member from sent through its Transport. The caller
// has checked that it really comes from that member. It never blocks for long;
// under overload batches are dropped. The batch belongs to the engine.
func (n *Node) Receive(from uint64, batch []byte) {}

// ProposeBatch proposes commands, asynchronously; see Proposal.
func (n *Node) ProposeBatch(ps []Proposal) {}

// Read serves linearizable reads, asynchronously; see ReadRequest.
func (n *Node) Read(reads []ReadRequest) {}

// LeaderOf names the leader of a group as known here; ok is false when none is
// known or the group is not held here.
func (n *Node) LeaderOf(group uint32) (member uint64, ok bool) { return 0, false }

// SessionOwner names who opened a session in a group held here (bare JID), as
// far as applied.
func (n *Node) SessionOwner(group uint32, session op.Session) (owner string, ok bool) {
	return "", false
}

// PeerDown is the hint (presence) that a member is gone: its groups elect anew
// at once instead of after the time-out (design D3).
func (n *Node) PeerDown(member uint64) {}

// PeerUp is the hint that a member is back.
func (n *Node) PeerUp(member uint64) {}

// Status describes the node.
func (n *Node) Status() Status { return Status{} }

// Groups describes the groups held, by number.
func (n *Node) Groups() []GroupStatus { return nil }

// Ring is the newest ring document known here; nil while none.
func (n *Node) Ring() *ring.Document { return nil }

// Close stops the node: leadership is given away as far as that goes quickly,
// open requests are answered, applied state is flushed, all goroutines have
// ended when it returns.
func (n *Node) Close() error { return nil }
