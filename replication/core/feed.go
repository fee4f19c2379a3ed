package core

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Reads of changes are answered from what a replica has applied, without a word to
// the leader. That is as good as the leader's own answer only where the log comes as
// fast as it grows: a replica that is being made, that is cut off or falls behind
// would hold its watchers back with it, for as long as it lasts, and nobody would
// know. So it must be fit for them, which each tick looks at; whoever asks one that
// is not goes to another.

const (
	// feedLag is how many committed entries a follower may still have to apply.
	feedLag = 1024
	// feedTicks is how long it may lack any one of them, in ticks.
	feedTicks = 40
)

// arrears is a position that is known to be committed and was not applied when last
// looked at, and the tick since when it is waited for.
type arrears struct{ index, since uint64 }

// Fitness says whether the replica of a group here may answer reads of changes. No
// replica is fit before it was said to be.
type Fitness struct {
	Group uint32
	Fit   bool
}

// toldCommit notes the commit position of a leader, which may be ahead of the log here:
// of its appends, and of its heartbeats, whose Commit is what the log here surely has,
// and which have the leader's own in a field that Raft leaves free (see tellCommitted).
// So a follower that appends do not reach knows what it lacks. There is nothing to ask
// for, and groups go on sleeping: their leader does so only when those that it hears
// have everything.
func (g *group) toldCommit(m *pb.Message) {
	if m.GetTerm() < g.term {
		return
	}
	switch m.GetType() {
	case pb.MsgApp:
		g.told = max(g.told, m.GetCommit())
	case pb.MsgHeartbeat:
		g.told = max(g.told, m.GetIndex())
	}
}

// tellCommitted puts the commit position of a leader into its heartbeat.
func (g *group) tellCommitted(m *pb.Message) {
	if m.GetType() == pb.MsgHeartbeat && g.state == raft.StateLeader {
		m.Index = &g.commit
	}
}

// inArrears tells whether a follower has lacked something committed for too long. What
// was known at one moment is waited for until it is applied, then what is known at that
// moment: so a follower that is steadily busy is not in arrears, and what it lacks is
// younger than twice feedTicks.
func (c *Core) inArrears(g *group) bool {
	if g.applied >= g.lacks.index {
		g.lacks = arrears{index: max(g.told, g.commit), since: c.now}
	}
	return g.applied < g.lacks.index && c.now-g.lacks.since > feedTicks && !c.cfg.Faults.ArrearsIgnored
}

// mayFeed tells whether the replica has what happens in its group, as far as it can know.
func (c *Core) mayFeed(g *group) bool {
	if g.rn == nil || g.gone || g.removing || g.repair.on || g.restoring {
		return false
	}
	late := c.inArrears(g)
	if g.state == raft.StateLeader {
		return true
	}
	// One that hears nothing for an election time-out is a follower no more; where the
	// group sleeps, the peers' words to each other stand for the leader's.
	if g.state != raft.StateFollower || g.lead == 0 || !c.isUp(g.lead) || g.stray {
		return false
	}
	me := c.cfg.Member
	if !slices.Contains(g.conf.GetVoters(), me) && !slices.Contains(g.conf.GetVotersOutgoing(), me) {
		return false
	}
	// Of a snapshot that is offered the leader knows that the log here is too short.
	return !late && g.in.offer == nil && max(g.told, g.commit) <= g.applied+feedLag
}

// tickFitness reports the groups whose fitness has changed.
func (c *Core) tickFitness() {
	for _, g := range c.list {
		c.checkFitness(g)
	}
}

func (c *Core) checkFitness(g *group) {
	if fit := c.mayFeed(g) || c.cfg.Faults.AnyReplicaFeeds && !g.gone; fit != g.feeds {
		c.fitness(g, fit)
	}
}

func (c *Core) fitness(g *group, fit bool) {
	g.feeds = fit
	c.next.Fitness = append(c.next.Fitness, Fitness{g.id, fit})
}
