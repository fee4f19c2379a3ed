package core

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// The log that a leader keeps for followers that are catching up: up to this
// number of bytes a group the first time, and twice as much with each snapshot
// that the same follower takes because it was not enough, up to a quarter of
// Config.MaxLog for a group and Config.MaxLog for all groups. Beyond that the
// log is cut and the follower takes another snapshot.
const catchUpBytes = 16 << 20

// levelPart is the part of Config.MaxLog from which on groups that are level keep only
// this part of what others do behind the applied position. What is kept lies in memory,
// is looked at by each collection of garbage, and nobody needs it who is there: a leader keeps
// what a follower has not acknowledged in any case.
const levelPart = 8

// level tells that all replicas of a group are there, as far as known, and on its leader
// that none has to be asked what it has.
func (c *Core) level(g *group) bool {
	level := true
	for _, ids := range [...][]uint64{g.conf.GetVoters(), g.conf.GetVotersOutgoing(), g.conf.GetLearners()} {
		for _, id := range ids {
			level = level && (id == c.cfg.Member || c.isUp(id))
		}
	}
	if level && g.state == raft.StateLeader {
		g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracked) {
			level = level && (id == c.cfg.Member || pr.State == tracker.StateReplicate)
		})
	}
	return level || c.cfg.Faults.LevelAssumed
}

// needed is the index behind which a follower that catches up still needs the
// log: one that takes a snapshot goes on from its position, others from what they
// have, a learner as well as one that is not hurried (patience.go). For those that
// the log was cut in front of nothing can be kept.
func (c *Core) needed(g *group) uint64 {
	index := g.applied
	if g.state != raft.StateLeader || c.cfg.Faults.TruncatePastLearner {
		return index
	}
	if s := &g.snap; s.phase == snapReady && (len(s.takers) > 0 || c.now < s.until) {
		if at := s.snap.GetMetadata().GetIndex(); at >= g.log.offset {
			index = min(index, at) // offered soon, or again
		}
	}
	g.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracked) {
		if id == c.cfg.Member || !c.isUp(id) {
			return
		}
		need := index
		switch {
		case pr.State == tracker.StateSnapshot:
			need = pr.PendingSnapshot
		case pr.Match > 0 && (typ == raft.ProgressTypeLearner || pr.State == tracker.StateReplicate):
			need = pr.Match
		}
		if need >= g.log.offset {
			index = min(index, need)
		}
	})
	return index
}

// compact forgets log entries that no healthy follower should need any more. What
// is flushed plays no part: memory and WAL are cut independently.
func (c *Core) compact(g *group) {
	entries, bytes := c.cfg.KeepEntries, c.cfg.KeepBytes
	short := c.logBytes > c.cfg.MaxLog/levelPart
	switch {
	case c.logBytes > c.cfg.MaxLog:
		entries, bytes = entries/16, bytes/16
	case short:
		entries, bytes = entries/levelPart, bytes/levelPart
	}
	// Compaction walks and copies what stays: it must be seldom enough.
	if g.log.within(entries, bytes) {
		return
	}
	if short && c.logBytes <= c.cfg.MaxLog && !c.level(g) {
		if entries, bytes = c.cfg.KeepEntries, c.cfg.KeepBytes; g.log.within(entries, bytes) {
			return
		}
	}
	to := g.log.cut(g.applied, entries, bytes)
	if need := c.needed(g); need < to {
		stays := need-g.log.offset < uint64(len(g.log.ents))/4
		if may := max(g.keep, catchUpBytes); g.log.bytes <= may && c.logBytes <= c.cfg.MaxLog || g.moving.outrun.slows && (!stays || g.log.bytes <= c.learnerLog()) {
			if stays {
				return
			}
			to = need
		} else {
			g.keep = min(2*may, c.cfg.MaxLog/4)
		}
	}
	g.log.compact(to)
}
