package replication

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
)

// remove deletes a replica that its group's leader says is no member: first what
// it has in the state, with the tomb in its place, then what the WAL has. After
// a crash in between the tomb tells the WAL to forget the rest.
func (n *Node) remove(r core.Removal) {
	n.reconciling.Lock()
	defer n.reconciling.Unlock()
	part := n.part(r.Group)
	if part == nil {
		return
	}
	if err := n.removeState(part, r); err != nil {
		n.failUnlessStopping(err)
		return
	}
	parts := maps.Clone(*n.parts.Load())
	delete(parts, r.Group)
	n.parts.Store(&parts)
	done := make(chan struct{})
	if !n.inbox.call(func() { n.core.Removed(r.Group, func() { close(done) }) }) {
		return
	}
	select {
	case <-done:
	case <-n.stopped:
		return
	}
	n.leaders.Delete(r.Group)
	n.logger.Info("replica deleted: it is no member of its group any more", "group", r.Group, "index", r.Tomb.Index)
	if n.disowned { // the document known here is of the number before
		return
	}
	// A document that came meanwhile may want it again.
	if err := n.takeUp(n.ring, n.cfg.Dir.Member()); err != nil {
		n.failUnlessStopping(err)
	}
}

// removeState deletes the state. For want of room it waits, as the WAL does.
func (n *Node) removeState(part *state.Partition, r core.Removal) error {
	for {
		err := part.Remove(state.Tomb(r.Tomb))
		if !errors.Is(err, state.ErrFull) {
			if err != nil {
				err = fmt.Errorf("delete the replica of group %d: %w", r.Group, err)
			}
			return err
		}
		n.setFull(fullState, true)
		select {
		case <-n.stopped:
			return fmt.Errorf("%w: %w", ErrClosed, err)
		case <-time.After(fullRetry):
		}
	}
}

// ForgetRemoved says what the WAL still has to be told after a crash between the
// deletion of a replica's state and that of its log, and takes it out of rec;
// nil if there is nothing of that.
func ForgetRemoved(st *state.Store, rec *wal.Recovered) (*wal.Batch, error) {
	tombs, err := st.Removed()
	if err != nil {
		return nil, fmt.Errorf("list deleted replicas: %w", err)
	}
	var b *wal.Batch
	for _, id := range slices.Sorted(maps.Keys(tombs)) {
		tomb, g := tombs[id], rec.Groups[id]
		if g == nil || len(g.Entries) == 0 && g.Snapshot.Index == tomb.Index {
			continue
		}
		if b == nil {
			b = &wal.Batch{}
		}
		g.HardState = core.Tomb(tomb).Resume(g.HardState)
		g.Snapshot = wal.Snapshot{Group: id, Index: tomb.Index, Term: tomb.Term}
		g.Entries = nil
		b.Snapshots = append(b.Snapshots, g.Snapshot)
		b.States = append(b.States, g.HardState)
	}
	return b, nil
}
