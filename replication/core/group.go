package core

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
)

// group is one Raft group's replica on this node.
type group struct {
	// What each message needs is together at first: a node has hundreds of groups, and
	// a cache holds none of them for long.
	id      uint32
	dirty   bool
	asleep  bool
	gone    bool          // it takes part no more
	patient bool          // the leader does not wait for the answer to its last append
	asked   uint64        // the question that is open; 0: none
	rn      *raft.RawNode // nil until what the group starts from is durable
	log     *entryLog
	conf    *pb.ConfState // in force,
	confAt  uint64        // since this index, if it changed since the start

	// As of the last Ready.
	term, commit uint64
	state        raft.StateType
	lead         uint64

	applied   uint64                       // reported by Applied and Restored
	tasks     int                          // handed out and not yet reported
	termStart uint64                       // on a leader: index of the first entry of its term
	told      uint64                       // the leader's commit position, as it says
	busyAt    uint64                       // tick of the last thing that a sleeping group would not do
	acked     struct{ index, term uint64 } // last append answered, see urgent

	standing Standing // as last handed out

	queue    []Proposal // not yet given to raft
	pending  []pendingProposal
	underway []underway // on a leader: appends that left as bulk
	reads    readQueue

	// Appends in the WAL's order; see append.go.
	batch     walMark
	held      []*pb.Message
	restoring bool
	restored  bool

	// Of few groups at a time.
	repair  repair
	snap    outgoing
	in      incoming
	staging int               // stage jobs at the caller
	digests map[uint64]digest // on a leader, by member

	// knownAt: when this index is committed, a majority knows of conf; see known.
	knownAt uint64
	table   []uint64 // replicas that it should have; the first is preferred
	feeds   bool     // as last reported; see mayFeed
	lacks   arrears
	eager   int // campaigns still to be tried soon after a hint
	moving  move
	keep    int64 // bytes of log that may stay for followers; see compact

	stray    bool // the ring document does not name this replica
	removing bool // its Removal is handed out
	tomb     Tomb // of an earlier replica, or of this one when it is gone
}

// pendingProposal is a proposal in the log of this leader.
type pendingProposal struct {
	index uint64
	size  int64 // bytes of the command
	done  func(op.WriteResult)
}

// drain takes everything raft has ready and passes it on.
func (c *Core) drain(g *group) {
	if g.rn == nil || g.gone {
		return
	}
	for g.rn.HasReady() {
		rd := g.rn.Ready()
		moved := false // the commit position
		if !raft.IsEmptyHardState(rd.HardState) {
			moved = rd.HardState.GetCommit() > g.commit && ordinary(rd.CommittedEntries)
			g.term, g.commit = rd.HardState.GetTerm(), rd.HardState.GetCommit()
		}
		won := rd.SoftState != nil && rd.SoftState.RaftState == raft.StateLeader && g.state != raft.StateLeader
		if rd.SoftState != nil {
			c.softState(g, rd.SoftState)
		}
		if won {
			g.termStart = 0 // not known yet
		}
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				c.storeAppend(g, m)
			case raft.LocalApplyThread:
				c.applyEntries(g, m)
			default:
				if !moved || !onlyCommit(m) {
					c.send(g, m)
				}
			}
		}
		if won {
			// The log ends with the entry that opens the term.
			g.termStart = g.log.last()
			g.knownAt = g.termStart
			g.moving.change = 0 // what it proposed in an earlier term may be no more
			c.watch(g)
		}
		for _, rs := range rd.ReadStates {
			c.readConfirmed(g, rs)
		}
		c.askReads(g)
	}
	c.stand(g)
}

// onlyCommit tells whether a message, sent because the commit position has moved,
// brings nothing but that. Such messages and their answers would be half of all:
// they are left out, as if lost. The next append or heartbeat brings the position,
// and raft does not take it for known before a follower has answered.
func onlyCommit(m *pb.Message) bool {
	return m.GetType() == pb.MsgApp && len(m.GetEntries()) == 0
}

// ordinary tells that no entry changes the configuration: who is removed by one
// hears of it now or never.
func ordinary(ents []*pb.Entry) bool {
	return !slices.ContainsFunc(ents, func(e *pb.Entry) bool { return e.GetType() != pb.EntryNormal })
}

// softState follows changes of leadership.
func (c *Core) softState(g *group, s *raft.SoftState) {
	lost := g.state == raft.StateLeader && s.RaftState != raft.StateLeader
	if g.lead != s.Lead {
		c.next.Leaders = append(c.next.Leaders, LeaderChange{Group: g.id, Leader: s.Lead, Term: g.term})
	}
	g.state, g.lead = s.RaftState, s.Lead
	if !lost {
		g.reads.askAnew()
	}
	if s.Lead != 0 {
		g.eager = 0
	}
	g.busyAt = c.now
	c.checkFitness(g) // who has just written finds the leader fit
	if lost {
		c.lostLeadership(g)
	}
}

// lostLeadership answers what can no longer be promised. The entries of pending
// proposals may still be committed by the next leader: unknown, so Retry.
func (c *Core) lostLeadership(g *group) {
	for _, p := range g.pending {
		c.pending -= p.size
		c.answerWrite(p.done, op.WriteResult{Code: op.Retry, Text: "leadership was lost under way; ask again under the same sequence"})
	}
	g.pending = nil
	c.refuseQueue(g)
	c.refuseReads(g)
	g.keep, g.digests = 0, nil
	c.forgetBulk(g, func(*underway) bool { return true })
}

// refuseAll answers everything open of a group whose node stops.
func (c *Core) refuseAll(g *group) {
	c.lostLeadership(g)
	for _, r := range g.reads.confirmed {
		c.refuseReadList(g, r.reads)
	}
	g.reads.confirmed = nil
}

// notHere is the answer to a request that this replica cannot serve: surely not
// applied.
func (c *Core) notHere(g *group) (op.Code, string) {
	switch {
	case c.stopping:
		return op.Unavailable, "this data node is stopping; try another replica"
	case g == nil:
		return op.Redirect, "this data node has no replica of the partition; read the ring document anew"
	case g.repair.on && g.lead == c.cfg.Member:
		return op.Unavailable, "this replica is damaged and being repaired; try again"
	case g.lead == 0 || g.lead == c.cfg.Member:
		return op.Unavailable, "the partition has no leader at the moment; try again"
	}
	return op.Redirect, "another data node leads the partition"
}

// Holds tells whether the group has a replica here.
func (c *Core) Holds(id uint32) bool { return c.groups[id] != nil }
