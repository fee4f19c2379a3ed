package replication

import (
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// flushAt is the number of bytes applied and not flushed at which the flusher
// does not wait for its time.
const flushAt = 32 << 20

// defaultDirtyAt is the number of these bytes at which nothing more is applied until
// a flush has ended. Where the disk is slower than what is written, memory would
// grow without bound; so proposals wait, and more are refused (MaxPending).
const defaultDirtyAt = 4 * flushAt

// apply is one of the appliers; a group is always with the same one, so its
// tasks stay in order.
func (n *Node) apply(q *queue[*core.Task]) {
	var buf []*core.Task
	failed := false
	for {
		buf = q.take(buf, 0)
		if len(buf) == 0 {
			return
		}
		done := make([]*core.Task, 0, len(buf))
		for _, t := range buf {
			if !failed {
				if err := n.run(t); err != nil {
					failed = true
					n.failUnlessStopping(err)
				}
			}
			if failed {
				giveUp(t) // out of order now: never apply behind a gap
				continue
			}
			if n.undone(t) {
				continue
			}
			done = append(done, t)
		}
		n.inbox.tasksDone(done)
		if n.store.Dirty() > flushAt {
			n.wantFlush()
		}
	}
}

func (n *Node) wantFlush() {
	select {
	case n.flushNow <- struct{}{}:
	default: // one is wanted already
	}
}

// awaitFlush waits for the end of a flush if too much waits for one. Where the disk
// has no room it does not: that may last, and replicas must be able to catch up.
func (n *Node) awaitFlush() {
	if n.store.Dirty() <= n.cfg.dirtyAt {
		return
	}
	ended := n.flushes.next()
	if n.store.Dirty() <= n.cfg.dirtyAt || n.full.has(fullState) {
		return // it ended just now, or will not
	}
	n.wantFlush()
	select {
	case <-ended:
	case <-n.flusherGone:
	case <-n.quit:
	}
}

func (n *Node) failUnlessStopping(err error) {
	if !errors.Is(err, ErrClosed) {
		n.fail(err)
	}
}

// giveUp answers the proposals of a task that will not be applied here: they are
// committed, so they took or will take effect.
func giveUp(t *core.Task) {
	for _, done := range t.Dones {
		if done != nil {
			done(op.WriteResult{Code: op.Retry, Text: "this data node stopped before it could answer; ask again under the same sequence"})
		}
	}
}

func (n *Node) run(t *core.Task) error {
	part := n.part(t.Group)
	if t.Restore != nil {
		if err := n.restore(part, t); err != nil {
			return fmt.Errorf("restore snapshot of group %d: %w", t.Group, err)
		}
		if t.Repair {
			n.repaired(t)
		}
	} else {
		n.applyTask(part, t)
	}
	n.sawLogTime(part)
	n.feeds.movedOn(t.Group)
	if inMeta(t.Group) {
		n.noticeRing(part)
	}
	return nil
}

func (n *Node) applyTask(part *state.Partition, t *core.Task) {
	for i, e := range t.Entries {
		if t.Confs != nil && t.Confs[i] != nil {
			part.SetConf(e.GetIndex(), e.GetTerm(), t.Confs[i])
			continue
		}
		n.awaitFlush()
		res := part.Apply(e.GetIndex(), e.GetTerm(), e.GetData())
		if t.Dones != nil && t.Dones[i] != nil {
			n.sawLogTime(part) // who is answered may be told that time
			t.Dones[i](res)
			t.Dones[i] = nil // a task of a damaged state comes again
		}
	}
	if v := part.TakeScrub(); v != nil {
		n.scrubs.take(scrubbed{t.Group, v})
	}
}

// restore installs a snapshot. For want of room it waits, as the WAL does.
func (n *Node) restore(part *state.Partition, t *core.Task) error {
	meta := t.Restore.GetMetadata()
	for {
		err := part.Restore(t.Restore.GetData(), meta.GetIndex(), meta.GetTerm(), core.EncodeConf(meta.GetConfState()))
		if !errors.Is(err, state.ErrFull) {
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

// noticeRing passes a newer ring document on to followRing.
func (n *Node) noticeRing(part *state.Partition) {
	raw, epoch := part.Ring()
	if known := n.known.Load(); epoch == 0 || known != nil && known.Epoch >= epoch {
		return
	}
	doc, err := ring.Decode(raw)
	if err != nil {
		n.logger.Error("the meta group holds a ring document that cannot be read", "err", err)
		return
	}
	select {
	case n.rings <- doc:
		return
	default:
	}
	// The one that waits is older: replace it.
	select {
	case <-n.rings:
	default:
	}
	select {
	case n.rings <- doc:
	default:
	}
}

// readPart reads; the replica may have been deleted since the read was confirmed.
func (n *Node) readPart(r *ReadRequest) op.ReadResult {
	part := n.part(r.Group)
	if part == nil {
		return op.ReadResult{Code: op.Redirect, Text: "this data node has no replica of the partition any more; read the ring document anew"}
	}
	return part.Read(r.Read)
}
