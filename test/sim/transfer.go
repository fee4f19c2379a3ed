package sim

import (
	"errors"

	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
)

// snapshotJobs does, each a while later, what the core asks for to send and to
// receive snapshots.
func (n *node) snapshotJobs(r *core.Round) {
	w := n.w
	for _, job := range r.Pictures {
		job.Size = int(w.between(100, 2000)) // many frames of what little there is
		n.later(w.between(0, 50*ms), func() {
			w.undo(n, job.Group)
			index, term, conf, err := n.transfers.Take(job)
			if err == nil {
				n.pictures[job.Number] = job.Group
				w.check.pictured(n, job.Group)
			}
			n.check(n.core.PictureDone(job, index, term, conf, err))
		})
	}
	for _, job := range r.Frames {
		n.later(w.between(0, 20*ms), func() {
			frame, last, err := n.transfers.Frame(job)
			if part := n.parts[job.Group]; errors.Is(err, state.ErrCorrupt) && part != nil {
				part.MarkDamaged(err)
			}
			if err := n.core.FrameDone(job, frame, last, err); !errors.Is(err, state.ErrCorrupt) {
				n.check(err)
			}
			n.step()
		})
	}
	for _, number := range r.Closed {
		n.transfers.Close(number)
		delete(n.pictures, number)
	}
	n.stages = append(n.stages, r.Stages...)
	n.stageNext()
}

// check fails the run on an error, and lets the core go on.
func (n *node) check(err error) {
	if err != nil {
		n.w.fail("node %d: %w", n.id(), err)
	}
	n.step()
}

// stageNext does stage jobs one after the other.
func (n *node) stageNext() {
	if n.staging || len(n.stages) == 0 {
		return
	}
	n.staging = true
	n.later(n.w.between(0, 10*ms), func() {
		job := n.stages[0]
		n.stages = n.stages[1:]
		if n.mending(job.Group) && n.stumble() {
			return
		}
		next, done, err := n.transfers.Stage(job)
		if n.mending(job.Group) && n.stumble() {
			return
		}
		n.staging = false
		n.check(n.core.Staged(job, next, done, err))
		n.stageNext()
	})
}

// newTransfers begins without pictures.
func (n *node) newTransfers() {
	n.stages, n.staging = nil, false
	n.scrubs, n.pictures = make(map[*state.Picture]bool), make(map[uint64]uint32)
	n.transfers = replication.NewTransfers(func(group uint32) *state.Partition { return n.parts[group] })
}

// pictured tells whether a picture of a group is held for others.
func (n *node) pictured(group uint32) bool {
	for _, g := range n.pictures {
		if g == group {
			return true
		}
	}
	return false
}

// sweep removes a piece of what snapshots replaced.
func (n *node) sweep() {
	if _, err := n.state.Sweep(); err != nil && !errors.Is(err, state.ErrClosed) {
		n.w.fail("node %d: sweep: %w", n.id(), err)
	}
}
