package core

import (
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/ring"
)

// SetRing tells of a newer ring document: which replicas each group should have,
// who leaves, who holds the meta group. Groups led here begin to move at the
// next ticks; replicas here that it does not want ask whether they may go.
func (c *Core) SetRing(doc *ring.Document) {
	if c.doc != nil && c.doc.Epoch >= doc.Epoch {
		return
	}
	if doc.Change == nil || c.doc == nil || c.doc.Change == nil || c.doc.Change.ID != doc.Change.ID {
		clear(c.reports)
	}
	c.doc = doc
	clear(c.leavers)
	for i := range doc.Members {
		if m := &doc.Members[i]; m.State == ring.Leaving {
			c.leavers[m.ID] = true
		}
	}
	c.strays = c.strays[:0]
	for _, g := range c.list {
		c.aim(g)
	}
	c.forgetPeers()
	c.place()
}

// aim takes what the ring document says of a group.
func (c *Core) aim(g *group) {
	if c.doc == nil {
		return
	}
	goal, row := c.doc.Goal(g.id), c.doc.Group(g.id)
	c.meet(goal)
	c.meet(row)
	g.stray = !slices.Contains(goal, c.cfg.Member) && !slices.Contains(row, c.cfg.Member)
	if g.stray || g.gone {
		c.strays = append(c.strays, g)
	}
	c.retarget(g)
	c.watch(g)
}

// retarget works out the replicas that a group should have now. In a change that
// is called off that depends on those that it has.
func (c *Core) retarget(g *group) {
	if c.doc == nil {
		return
	}
	goal := c.doc.Goal(g.id)
	if c.doc.Change != nil && c.doc.Change.Canceled && len(g.conf.GetVoters()) > 0 {
		goal = ring.Rest(g.conf.GetVoters(), goal)
	}
	if !slices.Equal(g.table, goal) {
		g.table = slices.Clone(goal)
		c.wake(g)
	}
}

// forgetPeers drops the peers that no group here has to do with any more: they
// would be sent heartbeats for ever.
func (c *Core) forgetPeers() {
	needed := make(map[uint64]bool)
	note := func(ids []uint64) {
		for _, id := range ids {
			needed[id] = true
		}
	}
	for _, g := range c.list {
		note(g.table)
		note(c.doc.Group(g.id))
		for _, ids := range members(g.conf) {
			note(ids)
		}
	}
	to := c.drivers()
	note(to)
	c.meet(to)
	c.peers = slices.DeleteFunc(c.peers, func(p *peer) bool { return !needed[p.id] })
}

// drivers are those who may lead the meta group while a change runs. When it was
// called off the document does not tell any more who was to join that group: then
// it may be anybody.
func (c *Core) drivers() (ids []uint64) {
	switch change := c.doc.Change; {
	case change == nil:
	case change.Canceled:
		for i := range c.doc.Members {
			ids = append(ids, c.doc.Members[i].ID)
		}
	default:
		ids = slices.Concat(c.doc.Meta, change.Meta)
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	return ids
}

// members lists everybody who is in a configuration, a few twice.
func members(cs *pb.ConfState) [4][]uint64 {
	return [...][]uint64{cs.GetVoters(), cs.GetVotersOutgoing(), cs.GetLearners(), cs.GetLearnersNext()}
}

// inConf tells whether a member is in a configuration, in whatever role.
func inConf(cs *pb.ConfState, id uint64) bool {
	for _, ids := range members(cs) {
		if slices.Contains(ids, id) {
			return true
		}
	}
	return false
}

// atGoal tells whether a group has the replicas it should have, and no change of
// them is under way.
func atGoal(cs *pb.ConfState, goal []uint64) bool {
	if len(cs.GetVotersOutgoing())+len(cs.GetLearners())+len(cs.GetLearnersNext()) > 0 || len(cs.GetVoters()) != len(goal) {
		return false
	}
	return !slices.ContainsFunc(goal, func(id uint64) bool { return !slices.Contains(cs.GetVoters(), id) })
}

// setConf notes the configuration in force.
func (c *Core) setConf(g *group, cs *pb.ConfState) {
	g.conf = cs
	for _, ids := range members(cs) {
		c.meet(ids)
	}
	c.retarget(g)
	c.watch(g)
}
