package core

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

const (
	placementTicks = 4  // ticks between looks at who should lead
	transfersALook = 16 // leader transfers begun at most each time
	settleTicks    = 20 // ticks a peer must be up before it is given leadership back
	// transferLag is how many entries a replica may be behind to be given
	// leadership; raft lets it catch up before it takes over.
	transferLag = 64
)

// place gives leadership to the replica the ring prefers when that is healthy
// and caught up, and gives it away when this node should not lead.
func (c *Core) place() {
	budget := transfersALook
	if !c.willing(c.cfg.Member) {
		budget = len(c.list)
	}
	for _, g := range c.list {
		if budget == 0 {
			return
		}
		if g.rn == nil || g.state != raft.StateLeader || len(g.table) == 0 {
			continue
		}
		to := c.placed(g)
		if to == 0 || g.rn.BasicStatus().LeadTransferee != 0 {
			continue
		}
		c.wake(g)
		g.rn.TransferLeader(to)
		c.mark(g)
		budget--
	}
}

// placed is the replica to give the leadership of a group to; 0: nobody.
func (c *Core) placed(g *group) uint64 {
	if g.repair.on {
		return c.relief(g)
	}
	if c.cfg.Faults.LeaversLead && c.leavers[c.cfg.Member] {
		return 0
	}
	if c.mustLeave(g) {
		return c.successor(g)
	}
	to := c.heir(g)
	if !c.willing(c.cfg.Member) {
		if to == 0 || !c.fit(g, to) {
			return c.relief(g) // whoever can, for writes are refused meanwhile
		}
		return to
	}
	if to == c.cfg.Member || to != g.table[0] || !c.fit(g, to) || c.now-c.peer(to).upSince < settleTicks {
		return 0
	}
	return to
}

// outdoes tells whether a candidate asks here in vain, since this replica's log is
// newer, in a group whose leader is known to be gone: then this replica campaigns
// itself rather than let the group wait for a time-out.
func (c *Core) outdoes(g *group, m *pb.Message) bool {
	if m.GetType() != pb.MsgPreVote || !c.willing(c.cfg.Member) {
		return false
	}
	if s := g.rn.BasicStatus(); s.Lead != 0 || s.RaftState != raft.StateFollower {
		return false
	}
	last := g.log.last()
	term, err := g.log.Term(last)
	return err == nil && (term > m.GetLogTerm() || term == m.GetLogTerm() && last > m.GetIndex())
}

// mustLeave tells whether the leader here is to be no replica soon, or is none
// already in the configuration to come.
func (c *Core) mustLeave(g *group) bool {
	return !c.cfg.Faults.LeadAfterRemoval &&
		(!slices.Contains(g.table, c.cfg.Member) || !slices.Contains(g.conf.GetVoters(), c.cfg.Member))
}

// successor is the replica to which a leader that must leave can give its
// leadership: one that stays, in the order of the table; 0 if there is none.
func (c *Core) successor(g *group) uint64 {
	var second uint64
	for _, id := range g.table {
		if !slices.Contains(g.conf.GetVoters(), id) || !c.fit(g, id) {
			continue
		}
		if c.willing(id) {
			return id
		}
		second = id
	}
	if second != 0 || slices.Contains(g.conf.GetVoters(), c.cfg.Member) {
		return second
	}
	for _, id := range g.conf.GetVoters() {
		if c.fit(g, id) {
			return id
		}
	}
	return 0
}

// fit tells whether a replica can take leadership over now.
func (c *Core) fit(g *group, id uint64) bool {
	p := c.peer(id)
	return p != nil && p.up && p.incarnation != 0 && c.now-p.heard <= 2*uint64(c.cfg.PeerTicks) && c.near(g, id)
}

// near tells whether a replica has nearly the whole log.
func (c *Core) near(g *group, id uint64) bool {
	ok := false
	g.rn.WithProgress(func(other uint64, typ raft.ProgressType, pr tracked) {
		if other == id && typ == raft.ProgressTypePeer {
			ok = pr.Match > 0 && pr.State == tracker.StateReplicate && pr.Match+transferLag >= g.log.last()
		}
	})
	return ok
}
