package core

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

const (
	moveTicks = 2 // ticks between looks at the groups that have to move
	// catchUpLag is how many entries a learner may be behind to become a voter.
	catchUpLag = 64
	// stuckTicks is how long a learner that is up may stand still. Then it is
	// taken out and put in again: what the leader believes it has may be what an
	// earlier replica of the same member had (see DESIGN.md).
	stuckTicks = 400
)

// move is a group's way to its goal, as its leader goes it.
type move struct {
	listed  bool
	change  uint64 // index of the last change of the configuration proposed here
	learner uint64 // that is catching up; 0: none
	match   uint64 // as last seen,
	since   uint64 // since this tick
	why     string // what it waits for; "" when it waits for nothing
	outrun  outrun // what is known of its snapshots
}

// watch puts a group that is led here and is not where it should be on the list
// of those that move. Tick goes through that list only.
func (c *Core) watch(g *group) {
	if g.moving.listed || g.gone || g.rn == nil || g.state != raft.StateLeader || len(g.table) == 0 || atGoal(g.conf, g.table) {
		return
	}
	g.moving = move{listed: true, change: g.moving.change}
	c.movers = append(c.movers, g)
	c.wake(g)
}

// tickMoves takes each group that moves a step further, if it can take one. New
// moves begin only as long as few are under way.
func (c *Core) tickMoves() {
	if len(c.movers) == 0 || c.now%moveTicks != 0 {
		return
	}
	budget := c.cfg.MaxMoves
	keep := c.movers[:0]
	for _, g := range c.movers {
		if g.gone || g.state != raft.StateLeader || atGoal(g.conf, g.table) {
			g.moving = move{change: g.moving.change}
			continue
		}
		keep = append(keep, g)
		if under := c.underWay(g); under != 0 && c.isUp(under) {
			budget--
		}
	}
	clear(c.movers[len(keep):])
	c.movers = keep
	for _, g := range c.movers {
		c.step(g, &budget)
		c.slowWrites(g)
	}
}

// underWay is the learner of a group that waits for one; 0: none.
func (c *Core) underWay(g *group) uint64 {
	for _, id := range g.conf.GetLearners() {
		if slices.Contains(g.table, id) {
			return id
		}
	}
	return 0
}

func (c *Core) isUp(id uint64) bool {
	p := c.peer(id)
	return id == c.cfg.Member || p != nil && p.up && p.incarnation != 0
}

// step proposes the group's next change if nothing stands against it.
func (c *Core) step(g *group, budget *int) {
	cc, why := c.nextStep(g, budget)
	g.moving.why = why
	if cc == nil {
		return
	}
	c.wake(g)
	if err := g.rn.ProposeConfChange(cc); err != nil {
		g.moving.why = "the proposal was refused: " + err.Error()
		return
	}
	c.drain(g)
	g.moving.change = g.log.last()
	c.mark(g)
}

func (c *Core) nextStep(g *group, budget *int) (cc *pb.ConfChangeV2, why string) {
	if !c.steady(g) || g.rn.BasicStatus().LeadTransferee != 0 {
		return nil, "an earlier step is under way"
	}
	if c.full {
		return nil, "the leader's disk is full"
	}
	if c.mustLeave(g) && c.successor(g) != 0 {
		return nil, "leadership goes to another replica first"
	}
	joint := len(g.conf.GetVotersOutgoing()) > 0
	if joint && !slices.Contains(g.conf.GetVoters(), c.cfg.Member) && !c.cfg.Faults.LeadAfterRemoval {
		return nil, "waits for a replica that can lead"
	}
	if c.doc != nil && c.doc.Change != nil && c.doc.Change.Paused && !joint {
		return nil, "the change is paused"
	}
	cc = nextChange(g.conf, g.table, func(id uint64) bool {
		why = c.behind(g, id)
		return why == ""
	}, c.missed)
	if cc != nil && begins(g.conf, cc) {
		switch {
		case !c.isUp(cc.Changes[0].GetNodeId()):
			return nil, fmt.Sprintf("member %d is not up", cc.Changes[0].GetNodeId())
		case *budget <= 0:
			return nil, "waits for its turn"
		}
		*budget--
	}
	if cc == nil && c.stuck(g) {
		cc = removal(g.moving.learner)
		if !c.cfg.Faults.NoPatience {
			g.moving.learner = 0 // that which comes in its place has all the time again
		}
		return cc, "the learner stands still; it is put in anew"
	}
	return cc, why
}

// missed tells how little a group misses a replica that it is to drop: one that is away most of all, for a majority of those
// that are left may need the others; then one whose node is to leave, which may be away without anybody knowing it yet.
func (c *Core) missed(id uint64) int {
	switch {
	case c.cfg.Faults.DropAny:
		return 0
	case !c.isUp(id):
		return 2
	case c.leavers[id]:
		return 1
	}
	return 0
}

// steady tells whether all entries that could change the configuration are
// applied: until then raft takes no other, and what is in force is about to change.
func (c *Core) steady(g *group) bool {
	return g.termStart != 0 && g.applied >= g.termStart && g.applied >= g.moving.change
}

// known tells whether the configuration in force is known as committed to a
// majority, durably: an entry that was appended when it was is committed itself.
// raft goes by the configuration that a replica has applied. Until that majority
// has this one, the votes of those who are no members any more may be needed,
// and neither may they be deleted nor may the change count as done. If nobody
// writes, known appends such an entry.
func (c *Core) known(g *group) bool {
	if !c.steady(g) {
		return false
	}
	if g.commit < g.knownAt && g.log.last() < g.knownAt && g.rn.BasicStatus().LeadTransferee == 0 {
		// Refused only while too much is uncommitted; the next look tries again.
		_ = g.rn.Propose(nil)
		c.wake(g)
		c.drain(g)
	}
	return g.commit >= g.knownAt || c.cfg.Faults.ForgetOldVoters
}

// behind says what a learner lacks; "" when it may become a voter. It must have
// the entry that made it a learner: what an earlier replica of the same member has
// acknowledged, and the network delivers now, lies before that.
func (c *Core) behind(g *group, id uint64) (why string) {
	g.rn.WithProgress(func(other uint64, _ raft.ProgressType, pr tracked) {
		if other != id {
			return
		}
		m, away := &g.moving, !c.isUp(id) && !c.cfg.Faults.NoPatience
		if m.learner != id {
			m.outrun = outrun{}
		}
		c.follow(g, id, pr)
		if m.learner != id || m.match != pr.Match || pr.State == tracker.StateSnapshot || away {
			m.learner, m.match, m.since = id, pr.Match, c.now
		}
		switch {
		case pr.State == tracker.StateSnapshot:
			why = fmt.Sprintf("member %d takes a snapshot", id)
		case pr.Match < max(g.confAt, 1) || pr.State != tracker.StateReplicate || pr.Match+catchUpLag < g.log.last():
			why = fmt.Sprintf("member %d is catching up: %d of %d", id, pr.Match, g.log.last())
		}
	})
	switch {
	case !c.isUp(id):
		return fmt.Sprintf("member %d is not up", id)
	case why != "" && g.moving.outrun.vain >= outrunAfter:
		return fmt.Sprintf("member %d takes snapshot %d: writes outrun the transfer and are slowed until it is there; raise its rate (ringctl throttle) or slow the writers", id, g.moving.outrun.vain+1)
	}
	return why
}

// stuck tells whether the learner answers and yet gets nowhere.
func (c *Core) stuck(g *group) bool {
	m := &g.moving
	return m.learner != 0 && slices.Contains(g.conf.GetLearners(), m.learner) && c.isUp(m.learner) && c.now-m.since > stuckTicks
}

// nextChange is the next step from a configuration to the goal, nil if there is
// none now. Each step is safe to stop after, for ever: from any configuration on
// the way the steps lead to any other goal.
//
//   - A joint configuration is left.
//   - Learners that the goal does not name are dropped.
//   - One replica that is missing becomes a learner.
//   - Once it is ready it becomes a voter in exchange for one that is too many,
//     jointly (Raft, section 6): a majority of both sets of voters decides
//     meanwhile. One replica at a time, whatever the goal.
//   - Where none is missing, one that is too many is dropped.
//
// Of several that are too many it is the first by prefer.
func nextChange(cs *pb.ConfState, goal []uint64, ready func(uint64) bool, prefer func(uint64) int) *pb.ConfChangeV2 {
	if len(cs.GetVotersOutgoing()) > 0 {
		return &pb.ConfChangeV2{}
	}
	for _, id := range cs.GetLearners() {
		if !slices.Contains(goal, id) {
			return removal(id)
		}
	}
	extra := uint64(0)
	for _, id := range cs.GetVoters() {
		if !slices.Contains(goal, id) && (extra == 0 || prefer(id) >= prefer(extra)) {
			extra = id
		}
	}
	for _, id := range goal {
		switch {
		case slices.Contains(cs.GetVoters(), id):
			continue
		case !slices.Contains(cs.GetLearners(), id):
			return change(pb.ConfChangeTransitionAuto, single(pb.ConfChangeAddLearnerNode, id))
		case !ready(id):
			return nil
		case extra == 0:
			return change(pb.ConfChangeTransitionAuto, single(pb.ConfChangeAddNode, id))
		}
		return change(pb.ConfChangeTransitionJointExplicit, single(pb.ConfChangeAddNode, id), single(pb.ConfChangeRemoveNode, extra))
	}
	if extra != 0 {
		return removal(extra)
	}
	return nil
}

// begins tells whether a change is the first of a move: it brings a new replica.
func begins(cs *pb.ConfState, cc *pb.ConfChangeV2) bool {
	return len(cc.Changes) == 1 && cc.Changes[0].GetType() == pb.ConfChangeAddLearnerNode && !inConf(cs, cc.Changes[0].GetNodeId())
}

func removal(id uint64) *pb.ConfChangeV2 {
	return change(pb.ConfChangeTransitionAuto, single(pb.ConfChangeRemoveNode, id))
}

func change(t pb.ConfChangeTransition, s ...*pb.ConfChangeSingle) *pb.ConfChangeV2 {
	return &pb.ConfChangeV2{Transition: t.Enum(), Changes: s}
}

func single(t pb.ConfChangeType, id uint64) *pb.ConfChangeSingle {
	return &pb.ConfChangeSingle{Type: t.Enum(), NodeId: &id}
}
