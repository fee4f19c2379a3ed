package core

import (
	"maps"
	"slices"

	"go.etcd.io/raft/v3"

	"github.com/rosterdb/rosterdb/ring"
)

// reportTicks is the time within which each group concerned by a running change
// is reported once.
const reportTicks = 20

// tickReports tells the members of the meta group what the groups led here
// have got to. Only a running change needs that. The groups take turns, so that
// a tick has few of them to look at.
func (c *Core) tickReports() {
	if c.doc == nil || c.doc.Change == nil || c.doc.Change.Paused || len(c.list) == 0 {
		return
	}
	for range (len(c.list) + reportTicks - 1) / reportTicks {
		c.reporting = (c.reporting + 1) % len(c.list)
		g := c.list[c.reporting]
		if g.state != raft.StateLeader || !c.concerns(g) {
			continue
		}
		if atGoal(g.conf, g.table) && c.known(g) || !atGoal(g.conf, g.table) && c.steady(g) {
			c.report(g)
		}
	}
}

// concerns tells whether the driver of the change waits for this group.
func (c *Core) concerns(g *group) bool {
	return c.doc.Change.Canceled || !slices.Equal(c.doc.Group(g.id), c.doc.Goal(g.id))
}

func (c *Core) report(g *group) {
	r := ring.Report{
		Voters: slices.Clone(g.conf.GetVoters()), Learners: slices.Concat(g.conf.GetLearners(), g.conf.GetLearnersNext()),
		Joint: len(g.conf.GetVotersOutgoing()) > 0, Term: g.term, Index: g.applied, Epoch: c.doc.Epoch,
	}
	for _, id := range c.drivers() {
		if id == c.cfg.Member {
			c.reported(g.id, r)
		} else if p := c.peer(id); p != nil {
			c.record(p, func(dst []byte) []byte { return appendReportRecord(dst, g.id, &r) })
		}
	}
}

// reported keeps what is known of each group; an older report, overtaken on its
// way, is dropped.
func (c *Core) reported(group uint32, r ring.Report) {
	if c.doc == nil || c.doc.Change == nil || c.doc.Group(group) == nil {
		return
	}
	if old, ok := c.reports[group]; ok && (old.Index > r.Index || old.Epoch > r.Epoch) {
		return
	}
	c.reports[group] = r
}

// Reports is what the leaders of groups have told of their configurations since
// the running change began; complete only on the members of the meta group.
func (c *Core) Reports() map[uint32]ring.Report { return maps.Clone(c.reports) }
