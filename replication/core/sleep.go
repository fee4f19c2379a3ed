package core

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

type tracked = tracker.Progress

// Idle groups sleep: they neither tick nor send heartbeats; one node heartbeat a
// peer stands for all of them. A leader puts a group to sleep when every replica
// that is up has everything. A message, a proposal or a read wakes it, and so
// does the silence of the node that leads it. If a follower misses the word it
// campaigns, which wakes the leader: sleeping never endangers safety, only
// patience.

// wake makes a group tick again.
func (c *Core) wake(g *group) {
	g.busyAt = c.now
	if g.asleep && g.rn != nil && !g.gone {
		g.asleep = false
		c.awake = append(c.awake, g)
	}
}

// tickGroup looks after what time does to a group that is awake.
func (c *Core) tickGroup(g *group) {
	if g.eager > 0 && g.lead == 0 && c.now%2 == 0 {
		g.eager--
		c.campaign(g)
	}
	if g.state != raft.StateLeader {
		return
	}
	if len(g.underway) > 0 {
		c.answeredBulk(g)
	}
	if c.cfg.SleepTicks > 0 && c.now-g.busyAt >= uint64(c.cfg.SleepTicks) && c.settled(g) {
		c.putToSleep(g)
	}
}

// settled tells whether nothing is left to do in a group led here.
func (c *Core) settled(g *group) bool {
	last := g.log.last()
	if g.commit != last || g.applied != last || g.dirty && g.rn.HasReady() {
		return false
	}
	if g.snap.phase != snapNone {
		return false // asleep it would keep its place among the few that may have one
	}
	if g.moving.listed {
		return false
	}
	if len(g.queue) > 0 || len(g.pending) > 0 || len(g.reads.waiting) > 0 || g.reads.asked != nil {
		return false
	}
	if h := c.heir(g); h != c.cfg.Member && h != 0 && g.table[0] == h {
		return false // leadership is about to move there
	}
	voters, ready := 0, 0
	level := true
	g.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracked) {
		caught := id == c.cfg.Member || pr.Match == last && pr.State == tracker.StateReplicate
		if typ == raft.ProgressTypePeer {
			voters++
			if caught {
				ready++
			}
		}
		if p := c.peer(id); p != nil && p.up && !caught {
			level = false
		}
	})
	return level && ready > voters/2
}

func (c *Core) putToSleep(g *group) {
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, _ tracked) {
		if p := c.peer(id); p != nil {
			c.record(p, func(dst []byte) []byte { return appendSleepRecord(dst, g.id, g.term, g.commit) })
			p.urgent = true
		}
	})
	g.asleep = true // Tick takes it off the list
}

// sleepAsked puts a follower to sleep when it has everything the leader has.
func (c *Core) sleepAsked(g *group, from *peer, rec record) {
	c.drain(g)
	last := g.log.last()
	if g.asleep || g.state != raft.StateFollower || g.lead != from.id || !from.up ||
		g.term != rec.term || g.commit != rec.commit || last != rec.commit {
		return
	}
	for i, a := range c.awake {
		if a == g {
			c.awake[i] = c.awake[len(c.awake)-1]
			c.awake = c.awake[:len(c.awake)-1]
			g.asleep = true
			return
		}
	}
}
