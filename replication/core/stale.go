package core

import (
	"go.etcd.io/raft/v3"

	"github.com/rosterdb/rosterdb/internal/op"
)

// A Stale read may be answered by any replica with a state that was the newest
// at some moment within MaxAge before the read came. What says so is a round of
// ReadIndex: the position that it confirms was the newest when it began, or
// later. A follower asks its leader for one; all reads that wait share it, and
// what it confirmed serves others until it is older than they allow. Ages are
// differences of the node's own monotonic clock: no other machine's plays a part.

const (
	// staleTicks is how long a follower lets a Stale read wait for its leader's
	// answer, and for having applied what that says.
	staleTicks = 20
	// staleAgain is after how many ticks a follower asks again.
	staleAgain = 4
	// maxAge bounds op.Read.MaxAge, in milliseconds, against overflow: 34 years.
	maxAge = 1 << 40
)

// freshness says that the state at index, or a later one, was the newest at a
// moment not before at.
type freshness struct {
	at    int64  // ReadRequest.Now's clock
	index uint64 // 0: nothing confirmed yet
}

func (r *ReadRequest) stale() bool { return r.Read != nil && r.Read.Stale }

// serves tells whether what was confirmed is new enough for a read.
func (f freshness) serves(r *ReadRequest) bool {
	return f.index != 0 && f.at >= r.Now-max(0, min(r.Read.MaxAge, maxAge))*1e6
}

// readStale takes a Stale read, which counts as waiting already; false when it
// needs a round of the leader here, like any other.
func (c *Core) readStale(g *group, r ReadRequest) bool {
	c.clock = max(c.clock, r.Now)
	q := &g.reads
	if g.state != raft.StateLeader {
		r.since = c.now
	}
	if q.fresh.serves(&r) || c.cfg.Faults.StaleBoundIgnored {
		q.confirmed = append(q.confirmed, readyReads{index: q.fresh.index, reads: []ReadRequest{r}})
		c.releaseReads(g)
		if len(q.confirmed) == 0 {
			return true
		}
	} else if g.state == raft.StateLeader {
		return false
	} else {
		q.waiting = append(q.waiting, r)
		c.wake(g)
		c.mark(g)
	}
	if !q.listed && g.state != raft.StateLeader {
		q.listed = true
		c.asking = append(c.asking, g)
	}
	return true
}

// refreshed notes what a round has confirmed, which may serve reads that came
// while it ran.
func (c *Core) refreshed(g *group, index uint64) {
	q := &g.reads
	at := q.begun
	if c.cfg.Faults.StaleFromRoundEnd {
		at = c.clock
	}
	q.fresh = freshness{at: max(q.fresh.at, at), index: max(q.fresh.index, index)}
	keep := q.waiting[:0]
	for _, r := range q.waiting {
		if r.stale() && q.fresh.serves(&r) {
			last := &q.confirmed[len(q.confirmed)-1]
			last.reads = append(last.reads, r)
			continue
		}
		keep = append(keep, r)
	}
	clear(q.waiting[len(keep):])
	q.waiting = keep
}

// askAnew gives up a follower's round: leader or role have changed.
func (q *readQueue) askAnew() {
	if q.asked != nil {
		q.waiting = append(q.asked, q.waiting...)
		q.asked = nil
	}
}

// tickStale asks again where the leader's answer may be lost, and refuses what
// has waited too long.
func (c *Core) tickStale() {
	keep := c.asking[:0]
	for _, g := range c.asking {
		q := &g.reads
		if g.state != raft.StateLeader {
			q.asked = c.overdue(g, q.asked)
			q.waiting = c.overdue(g, q.waiting)
			for i := range q.confirmed {
				q.confirmed[i].reads = c.overdue(g, q.confirmed[i].reads)
			}
		}
		if g.state == raft.StateLeader || len(q.asked)+len(q.waiting)+len(q.confirmed) == 0 {
			q.listed = false
			continue
		}
		keep = append(keep, g)
		if q.asked != nil && c.now-q.askedAt >= staleAgain {
			// The same round: its answer is as good whichever copy brings it.
			q.askedAt = c.now
			g.rn.ReadIndex(c.readContext(g))
			c.mark(g)
		}
	}
	clear(c.asking[len(keep):])
	c.asking = keep
}

// overdue refuses the reads that a follower took too long ago.
func (c *Core) overdue(g *group, reads []ReadRequest) []ReadRequest {
	keep := reads[:0]
	for _, r := range reads {
		if r.since == 0 || c.now-r.since <= staleTicks {
			keep = append(keep, r)
			continue
		}
		c.waiting--
		code, text := c.notHere(g)
		if code == op.Redirect {
			text = "this replica could not confirm in time how new its state is; ask another"
		}
		c.answerRead(r.Done, op.ReadResult{Code: code, Text: text})
	}
	clear(reads[len(keep):])
	if len(keep) == 0 {
		return nil
	}
	return keep
}
