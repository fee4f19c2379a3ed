package sim

import (
	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// What a node does with ring documents, as replication.Node and datanode do it.

// adopt takes a newer document over, as Node.Reconcile does: the ring file first,
// then the core, then the replicas that are new here.
func (n *node) adopt(doc *ring.Document) {
	if n.doc != nil && n.doc.Epoch >= doc.Epoch {
		return
	}
	m, err := core.MemberOf(doc, n.store.String())
	if err != nil {
		return // a stranger, or not any more a member: it stays with what it knows
	}
	n.doc, n.member = doc, m.ID
	n.core.SetMember(m.ID)
	n.core.SetRing(doc)
	if err := n.takeUp(); err != nil {
		n.w.fail("node %d does not follow epoch %d: %w", n.id(), doc.Epoch, err)
	}
	n.step()
}

func (n *node) takeUp() error {
	replicas, err := replication.TakeUp(n.state, n.rec, n.doc, n.member, n.bootstrapped, n.core.Holds)
	if err != nil {
		return err
	}
	n.bootstrapped = true
	for _, r := range replicas {
		if n.parts[r.Group], err = n.state.Partition(r.Group); err != nil {
			return err
		}
		delete(n.rec.Groups, r.Group)
		if err := n.core.Add(r); err != nil {
			return err
		}
	}
	for _, r := range replicas {
		n.later(0, func() { n.checkDamage(r.Group) }) // found when it was loaded
	}
	return nil
}

// remove deletes a replica, as Node.remove does.
func (n *node) remove(r core.Removal) {
	n.later(n.w.between(0, 20*ms), func() {
		n.w.logf("node %d deletes its replica of group %d as of %d", n.id(), r.Group, r.Tomb.Index)
		if err := n.parts[r.Group].Remove(state.Tomb(r.Tomb)); err != nil {
			n.w.fail("node %d: %w", n.id(), err)
			return
		}
		delete(n.parts, r.Group)
		n.w.unmark(diskKey{n.index, r.Group})
		n.w.check.removed(n, r.Group)
		n.later(n.w.between(0, 20*ms), func() {
			n.core.Removed(r.Group, func() {
				if err := n.takeUp(); err != nil {
					n.w.fail("node %d: %w", n.id(), err)
				}
			})
			n.step()
		})
	})
}

// noticeRing follows the document that the meta group's replica here has applied.
func (n *node) noticeRing() {
	part := n.parts[ring.MetaPartition]
	if part == nil {
		return
	}
	raw, epoch := part.Ring()
	if epoch == 0 || n.doc != nil && n.doc.Epoch >= epoch {
		return
	}
	doc, err := ring.Decode(raw)
	if err != nil {
		n.w.fail("node %d: %w", n.id(), err)
		return
	}
	if doc.Epoch != epoch {
		n.w.fail("the document of epoch %d says that it is of %d", epoch, doc.Epoch)
	}
	n.w.published(doc)
	n.later(n.w.between(0, 20*ms), func() { n.adopt(doc) })
}

// gossip asks another node for its document now and then.
func (n *node) gossip() {
	n.later(n.w.between(100*ms, 900*ms), n.gossip)
	other := n.w.nodes[n.w.rng.IntN(len(n.w.nodes))]
	if other == n || !other.up || other.doc == nil || n.w.net.cut[[2]int{other.index, n.index}] {
		return
	}
	doc, life := other.doc, n.life
	n.w.deliver(func() {
		if n.up && n.life == life {
			n.adopt(doc)
		}
	})
}

// drive takes a running change further, as Node.drive does.
func (n *node) drive() {
	n.later(n.w.between(300*ms, 700*ms), n.drive)
	if n.doc == nil || n.doc.Change == nil || n.leaderOf(ring.MetaPartition) != n.member {
		return
	}
	if _, epoch := n.parts[ring.MetaPartition].Ring(); epoch != n.doc.Epoch {
		return
	}
	if next := ring.Advance(n.doc, n.core.Reports()); next != nil {
		n.proposeRing(n.doc.Epoch, next, func(op.WriteResult) {})
	}
}

// proposeRing proposes a document, and before it the first one, which came to the
// nodes by another way.
func (n *node) proposeRing(expect uint64, doc *ring.Document, done func(op.WriteResult)) {
	part := n.parts[ring.MetaPartition]
	if part == nil {
		done(op.WriteResult{Code: op.Redirect})
		return
	}
	if _, epoch := part.Ring(); epoch == 0 && expect > 0 {
		n.proposeDocument(0, n.w.first, func(op.WriteResult) {})
	}
	n.proposeDocument(expect, doc, done)
}

func (n *node) proposeDocument(expect uint64, doc *ring.Document, done func(op.WriteResult)) {
	raw, err := ring.Encode(doc)
	if err != nil {
		n.w.fail("document of epoch %d: %w", doc.Epoch, err)
		return
	}
	n.core.Propose([]core.Proposal{{Group: ring.MetaPartition, Cmd: state.EncodeRing(nil, n.clock(), expect, raw), Done: done}})
	n.step()
}

// command proposes what a leader does by itself.
func (n *node) command(group uint32, cmd []byte) {
	n.core.Propose([]core.Proposal{{Group: group, Cmd: cmd, Done: func(op.WriteResult) {}}})
	n.step()
}

func newUUID(w *world) uuid.UUID {
	b := make([]byte, 16)
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
	return uuid.Must(uuid.FromBytes(b))
}
