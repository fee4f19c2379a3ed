package core

import (
	"go.etcd.io/raft/v3/tracker"

	"github.com/rosterdb/rosterdb/internal/op"
)

// A learner whose snapshot takes longer than it takes to write what the log may keep
// (catchup.go) needs another snapshot, and so on. After the second one in vain the leader
// knows how long one takes, and takes no more proposals meanwhile than the log has room
// for: so the learner gets level, whatever is written, and the log stays bounded. Where a
// snapshot gets no further, writes do not wait for it.
const (
	outrunAfter    = 2   // snapshots in vain
	outrunPatience = 200 // ticks without a frame or an entry after which writes are not slowed
	outrunRetry    = 500 // ms: hint to who is refused
)

// outrun is what the leader of a group knows of the snapshots of its learner.
type outrun struct {
	seen    uint64 // tick of the last look
	pending uint64 // index of the snapshot that it takes, or took last
	began   uint64 // tick at which that began; 0: it is complete
	lasted  uint64 // ticks that the last complete one took
	vain    int    // snapshots that were complete when the log did not reach back to them any more
	match   uint64 // as last seen,
	frames  int    // and of the frames sent,
	bytes   int64  // which have so many bytes; also when it is complete
	moved   uint64 // tick at which one of these grew
	slows   bool   // proposals are taken as there is room:
	room    int64  // bytes
}

// follow looks at the learner. It is called at each look at the moves.
func (c *Core) follow(g *group, id uint64, pr tracked) {
	o := &g.moving.outrun
	takes := pr.State == tracker.StateSnapshot
	if has := o.pending > 0 && pr.Match >= o.pending; has && o.began > 0 {
		o.lasted, o.began = max(c.now-o.began, 1), 0
	}
	if takes && pr.PendingSnapshot != o.pending {
		if o.pending > 0 && pr.Match >= o.pending {
			o.vain++
		}
		o.pending, o.began, o.frames, o.moved = pr.PendingSnapshot, c.now, 0, c.now
	}
	frames := 0
	if t := g.snap.taker(id); t != nil {
		frames = t.sent
		if !c.cfg.Faults.CopiedUntold {
			o.bytes = t.bytes
		}
	}
	if frames > o.frames || pr.Match > o.match {
		o.moved = c.now
	}
	o.seen, o.frames, o.match = c.now, frames, pr.Match
}

// learnerLog is how many bytes of log are kept for a learner that is outrun: all that
// Config.MaxLog has for one of as many groups as may move.
func (c *Core) learnerLog() int64 { return c.cfg.MaxLog / int64(max(c.cfg.MaxMoves, defaultMaxMoves)) }

// slowWrites works out how much may be proposed until the next look.
func (c *Core) slowWrites(g *group) {
	o := &g.moving.outrun
	o.slows = o.vain >= outrunAfter && o.seen == c.now && c.isUp(g.moving.learner) &&
		c.now-o.moved < outrunPatience && !c.cfg.Faults.Outrun
	if !o.slows {
		o.room = 0
		return
	}
	left := max(o.lasted/8, 20)
	if took := c.now - o.began; o.began > 0 && took < o.lasted {
		left += o.lasted - took
	}
	// A quarter is for what is proposed already, and for large commands.
	free := max(c.learnerLog()*3/4-g.log.bytes, 0)
	o.room = min(o.room+max(free*moveTicks/int64(left), 1), free)
}

// admits tells whether a group takes a command of so many bytes now.
func (g *group) admits(size int) bool {
	o := &g.moving.outrun
	if !o.slows {
		return true
	}
	if o.room <= 0 {
		return false
	}
	o.room -= int64(size) + entryOverhead
	return true
}

func outran() op.WriteResult {
	return op.WriteResult{Code: op.Overloaded, RetryAfter: outrunRetry, Text: "a new replica of this partition is being made and writes are slowed until it has all; try again later"}
}
