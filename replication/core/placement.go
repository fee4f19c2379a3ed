package core

import (
	"go.etcd.io/raft/v3"
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
	if c.stopping {
		budget = len(c.list)
	}
	for _, g := range c.list {
		if budget == 0 {
			return
		}
		if g.rn == nil || g.state != raft.StateLeader || len(g.table) == 0 {
			continue
		}
		to := c.heir(g)
		if to == 0 || to == c.cfg.Member || c.willing(c.cfg.Member) && to != g.table[0] {
			continue
		}
		p := c.peer(to)
		if p.incarnation == 0 || c.now-p.heard > 2*uint64(c.cfg.PeerTicks) {
			continue
		}
		if c.willing(c.cfg.Member) && c.now-p.upSince < settleTicks {
			continue
		}
		if !c.near(g, to) || g.rn.BasicStatus().LeadTransferee != 0 {
			continue
		}
		c.wake(g)
		g.rn.TransferLeader(to)
		c.mark(g)
		budget--
	}
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
