package replication

import (
	"errors"
	"time"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
)

// defaultSnapshotRate is the share of the link that snapshots get, in bytes a
// second.
const defaultSnapshotRate = 32 << 20

// snapshotJobs takes over what a round asks for to send and to receive snapshots.
func (n *Node) snapshotJobs(r *core.Round) {
	for _, job := range r.Pictures {
		n.wg.Go(func() { n.takePicture(job) })
	}
	for _, job := range r.Frames {
		n.frames.put(func() { n.makeFrame(job) })
	}
	for _, number := range r.Closed {
		n.frames.put(func() { n.transfers.Close(number) })
	}
	n.stages.put(r.Stages...)
}

func (n *Node) takePicture(job core.PictureJob) {
	index, term, conf, err := n.transfers.Take(job)
	n.inbox.call(func() {
		if err := n.core.PictureDone(job, index, term, conf, err); err != nil {
			n.logger.Error("no snapshot for a follower", "err", err)
		}
	})
}

func (n *Node) makeFrame(job core.FrameJob) {
	frame, last, err := n.transfers.Frame(job)
	if errors.Is(err, errPictureGone) {
		return
	}
	if part := n.part(job.Group); errors.Is(err, state.ErrCorrupt) && part != nil {
		part.MarkDamaged(err)
	}
	if err == nil && !n.pace(len(frame)) {
		return
	}
	n.snapshotBytes.Add(uint64(len(frame)))
	n.inbox.call(func() {
		if err := n.core.FrameDone(job, frame, last, err); err != nil {
			n.logger.Error("snapshot for a follower failed", "err", err)
		}
	})
}

// sendFrames makes frames, one after the other, at most at the rate that is
// theirs: what else a node has to send and to read from its disk goes first.
func (n *Node) sendFrames() {
	var buf []func()
	for {
		buf = n.frames.take(buf, 1)
		if len(buf) == 0 {
			return
		}
		buf[0]()
	}
}

// pace waits until so many bytes may be sent; false when the node stops.
func (n *Node) pace(bytes int) bool {
	if n.cfg.Faults.Unpaced {
		return true
	}
	now := time.Now()
	if n.paced.Before(now.Add(-snapshotBurst)) {
		n.paced = now.Add(-snapshotBurst)
	}
	n.paced = n.paced.Add(time.Duration(float64(bytes) / float64(n.snapshotRate()) * float64(time.Second)))
	wait := n.paced.Sub(now)
	if wait <= 0 {
		return true
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-n.quit:
		return false
	case <-t.C:
		return true
	}
}

// snapshotBurst is for how long unused rate may be made up for.
const snapshotBurst = 50 * time.Millisecond

// snapshotRate is what the running change of the ring says, or else the node's.
func (n *Node) snapshotRate() int64 {
	if doc := n.known.Load(); doc != nil && doc.Change != nil && doc.Change.Rate > 0 {
		return doc.Change.Rate
	}
	return n.cfg.SnapshotRate
}

// stageFrames writes what peers send. For want of room it waits, as the WAL does.
func (n *Node) stageFrames() {
	var buf []core.StageJob
	for {
		buf = n.stages.take(buf, 1)
		if len(buf) == 0 {
			return
		}
		job := buf[0]
		next, done, err := n.transfers.Stage(job)
		for errors.Is(err, state.ErrFull) {
			n.setFull(fullState, true)
			select {
			case <-n.quit:
				return
			case <-time.After(fullRetry):
			}
			next, done, err = n.transfers.Stage(job)
		}
		n.inbox.call(func() {
			if err := n.core.Staged(job, next, done, err); err != nil {
				n.logger.Error("a snapshot that came was thrown away", "group", job.Group, "err", err)
			}
		})
	}
}

// sweepEvery is the time between pieces that are removed.
const sweepEvery = 50 * time.Millisecond

// sweep removes what snapshots replaced, a piece at a time; it tells whether there
// is more.
func (n *Node) sweep() bool {
	more, err := n.store.Sweep()
	if err != nil && !errors.Is(err, state.ErrFull) && !errors.Is(err, state.ErrClosed) {
		n.logger.Error("what a snapshot replaced cannot be removed", "err", err)
		return false
	}
	return more
}
