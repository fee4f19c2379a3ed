package replication

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/ring"
)

// loop steps the core: it takes what happened since the last step, all at once,
// and carries out what follows. It never waits for disk or network.
func (n *Node) loop() {
	defer close(n.stopped)
	ticker := time.NewTicker(n.cfg.Tick)
	defer ticker.Stop()
	var spare events
	for {
		tick := false
		select {
		case <-n.inbox.wake:
		case <-ticker.C:
			tick = true
		}
		ev, ended := n.inbox.take(spare)
		if err := n.step(&ev, tick); err != nil {
			n.fail(err)
			ended = true
		}
		if ended {
			n.abandon(&ev)
			return
		}
		ev.reset()
		spare = ev
	}
}

// step turns raft's panics (a log that contradicts what was promised, say) into
// an error: other nodes of the process go on.
func (n *Node) step(ev *events, tick bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			n.logger.Error("replication engine stopped", "panic", p, "stack", string(debug.Stack()))
			if n.cfg.Faults.ContradictionUnnamed {
				err = fmt.Errorf("replication engine stopped: %v", p)
				return
			}
			err = fmt.Errorf("%w: %v; if an older copy of the data directory was put back, it is not this member any more: do not start it again, add this node as a new member with an empty directory", ErrContradiction, p)
		}
	}()
	if ev.durable {
		n.core.WALDone()
	}
	for _, t := range ev.applied {
		if t.Restore != nil {
			n.core.Restored(t)
		} else {
			n.core.Applied(t)
		}
	}
	for _, b := range ev.batches {
		switch err := n.core.Receive(b.from, b.batch); {
		case errors.Is(err, core.ErrMisaddressed):
			n.logger.Debug("dropped what a peer sent", "err", err) // until the peer has the new ring
		case errors.Is(err, core.ErrBatchVersion):
			if n.mixed.note(time.Since(n.began)) {
				n.logger.Error("a peer is of another version; what it sends is dropped, and what is held here is no copy of what is written meanwhile: run one version on all data nodes", "err", err)
			}
		case err != nil:
			n.logger.Warn("dropped what a peer sent", "err", err)
		}
		n.free(b.batch)
	}
	for _, f := range ev.calls {
		f()
	}
	if tick {
		n.core.Tick()
	}
	n.core.Propose(ev.proposals)
	n.core.Read(ev.reads)
	ev.proposals, ev.reads = ev.proposals[:0], ev.reads[:0]
	n.carryOut(n.core.Advance())
	return nil
}

func (n *Node) carryOut(r *core.Round) {
	if n.cfg.Faults.PublishedLate {
		defer n.standings.publish(r.Standings)
	} else {
		n.standings.publish(r.Standings)
	}
	for _, s := range r.Sends {
		if s.Bulk.Kind != 0 {
			n.cfg.Transport.SendBulk(s.To, s.Bulk, s.Batch)
		} else {
			n.cfg.Transport.Send(s.To, s.Batch)
			if n.cfg.Copied {
				n.core.Recycle(s.Batch)
			}
		}
	}
	if len(r.Sends) > 0 {
		n.cfg.Transport.Flush()
	}
	if r.WAL != nil {
		n.commits <- r.WAL // has room: one batch at a time
	}
	for i := range r.Tasks {
		t := r.Tasks[i]
		n.appliers[int(t.Group)%len(n.appliers)].put(&t)
	}
	if len(r.Reads) > 0 {
		n.readers.put(r.Reads...)
	}
	n.snapshotJobs(r)
	n.scrubResults(r)
	for _, rm := range r.Removals {
		n.wg.Go(func() { n.remove(rm) })
	}
	for _, l := range r.Leaders {
		n.leaders.Store(l.Group, l.Leader)
		if n.cfg.OnLeader != nil {
			n.cfg.OnLeader(l.Group, l.Leader)
		}
	}
	n.feeds.fitness(r.Fitness)
	for _, answer := range r.Answers {
		answer()
	}
}

// abandon answers what is still open when the loop ends.
func (n *Node) abandon(ev *events) {
	defer func() {
		if p := recover(); p != nil {
			n.logger.Error("replication engine could not answer all that was open", "panic", p)
		}
	}()
	rest, _ := n.inbox.take(events{})
	n.core.Abandon()
	n.core.Propose(append(ev.proposals, rest.proposals...))
	n.core.Read(append(ev.reads, rest.reads...))
	for _, answer := range n.core.Advance().Answers {
		answer()
	}
}

// inMeta tells whether applied entries may have changed the ring document.
func inMeta(group uint32) bool { return group == ring.MetaPartition }
