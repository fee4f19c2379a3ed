package replication

import (
	"fmt"
	"maps"
	"reflect"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/ring"
)

// Reconcile brings the node in line with a ring document: it persists the
// document and creates the groups this store holds. It is idempotent; an older
// document than the known one is ignored. Only a document of epoch 1 gives new
// groups their first membership; replicas that come later wait for a snapshot
// of the leader. A store that the document gives a new number, because its joining
// was called off before, first deletes what it has under the old one: until that is
// done the error is ErrRenumbered. Errors: ErrStranger, ErrForeignCluster, ErrLostState,
// ErrRenumbered, ErrClosed.
func (n *Node) Reconcile(doc *ring.Document) error {
	newer, err := n.reconcile(doc)
	if err == nil && newer && n.cfg.OnRing != nil {
		n.cfg.OnRing(doc)
	}
	return err
}

func (n *Node) reconcile(doc *ring.Document) (newer bool, err error) {
	n.reconciling.Lock()
	defer n.reconciling.Unlock()
	known := n.ring
	newer = known == nil || known.Epoch < doc.Epoch
	if !newer && known.Epoch > doc.Epoch {
		return false, nil
	}
	me, err := core.MemberOf(doc, n.cfg.Dir.Store())
	if err != nil {
		return false, err
	}
	again := n.anew(doc, me.ID)
	if again {
		err = n.disown()
	} else {
		err = n.cfg.Dir.join(doc.Cluster, me.ID)
	}
	if err != nil {
		return false, err
	}
	if newer {
		if err := saveRing(n.cfg.Dir.Path(), doc); err != nil {
			return false, err
		}
		n.ring = doc
	} else if !reflect.DeepEqual(known, doc) {
		return false, fmt.Errorf("there are two ring documents of epoch %d; bootstrap the cluster with one and the same on all data nodes", doc.Epoch)
	}
	if again { // behind the ring: a crash in between finds a document that says so once more
		if err := n.cfg.Dir.rejoin(me.ID); err != nil {
			return false, err
		}
		n.logger.Info("the store has a new number in the cluster", "member", me.ID)
	}
	n.disowned = false
	if err := n.takeUp(doc, me.ID); err != nil {
		return false, err
	}
	n.known.Store(doc)
	return newer, nil
}

// takeUp starts the groups that are not held yet. The first membership is
// durable in the state before anything else hears of the group.
func (n *Node) takeUp(doc *ring.Document, member uint64) error {
	parts := maps.Clone(*n.parts.Load())
	held := func(id uint32) bool { return parts[id] != nil }
	replicas, err := TakeUp(n.store, n.rec, doc, member, n.cfg.Dir.started(), held)
	if err != nil {
		return err
	}
	for _, r := range replicas {
		if parts[r.Group], err = n.store.Partition(r.Group); err != nil {
			return fmt.Errorf("take up group %d: %w", r.Group, err)
		}
		delete(n.rec.Groups, r.Group)
		n.sawLogTime(parts[r.Group])
	}
	n.parts.Store(&parts)
	if err := n.add(doc, member, replicas); err != nil {
		return err
	}
	if doc.Epoch != 1 || len(replicas) == 0 {
		return nil
	}
	return n.cfg.Dir.markStarted()
}

// add hands the replicas to the loop and waits until they have started, which is
// when the WAL knows them.
func (n *Node) add(doc *ring.Document, member uint64, replicas []core.Replica) error {
	done := make(chan error, 1)
	ok := n.inbox.call(func() {
		n.core.SetMember(member)
		n.core.SetRing(doc)
		for _, r := range replicas {
			if err := n.core.Add(r); err != nil {
				done <- err
				return
			}
		}
		for _, r := range replicas {
			n.checkDamage(r.Group) // found when it was loaded
		}
		n.core.WhenDurable(func() { done <- nil })
	})
	if !ok {
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-n.stopped:
		return ErrClosed
	}
}

// followRing reconciles the node with documents its own meta replica applied.
func (n *Node) followRing() {
	for {
		select {
		case <-n.quit:
			return
		case doc := <-n.rings:
			if err := n.Reconcile(doc); err != nil {
				n.logger.Error("cannot follow the new ring document", "epoch", doc.Epoch, "err", err)
			}
		}
	}
}
