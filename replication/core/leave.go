package core

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/replication/wal"
)

// A replica that the ring document names no more is deleted only on the word of
// the group's leader, never on that of a document, which may be old. It asks
// again and again (recAsk); a leader that does not have it in its configuration,
// with no change of that under way and a majority knowing it, says so (recGone). The answer counts if
//
//   - the leader's term is not below the replica's: whoever leads in a later
//     term and made this replica a member again, it has heard nothing of that;
//   - no message of the group came in between: so it has promised nothing since
//     it asked, and what it promised before counted for configurations that are
//     of the past.
//
// What must survive the replica is its term and vote, and the position up to
// which it is known to be no member: Tomb. See DESIGN.md.

// askTicks is the time between questions.
const askTicks = 20

// Tomb is what stays of a deleted replica.
type Tomb struct {
	Index uint64 // as of this position the replica was no member; 0: there was none
	Term  uint64 // it must not go below
	Vote  uint64 // given in Term
}

// Removal is a replica to delete: its state durably, leaving the Tomb in its
// place; then Removed.
type Removal struct {
	Group uint32
	Tomb  Tomb
}

// tickStrays asks for replicas that seem to be wanted no more, and hands out
// those that are surely to be deleted.
func (c *Core) tickStrays() {
	if len(c.strays) == 0 {
		return
	}
	ask := c.now%askTicks == 0
	for _, g := range c.strays {
		switch {
		case g.gone:
			c.handOutRemoval(g)
		case c.cfg.Faults.GoneByDocument && g.rn != nil:
			g.tomb = Tomb{Index: g.applied, Term: g.term}
			c.bury(g)
		case ask && g.rn != nil:
			c.ask(g)
		}
	}
}

func (c *Core) ask(g *group) {
	c.questions++
	g.asked = c.questions
	term := g.rn.BasicStatus().GetTerm()
	for _, p := range c.peers {
		if slices.Contains(g.table, p.id) || slices.Contains(g.conf.GetVoters(), p.id) {
			c.record(p, func(dst []byte) []byte { return appendAskRecord(dst, recAsk, g.id, term, 0, g.asked) })
			p.urgent = true
		}
	}
}

// asks answers a replica that wants to know whether it may go.
func (c *Core) asks(g *group, from *peer, rec record) {
	c.drain(g)
	if g.state != raft.StateLeader || !c.known(g) || inConf(g.conf, from.id) || slices.Contains(g.table, from.id) {
		return
	}
	if rec.term > g.term {
		// It took part in an election that nobody here heard of. A leader in a term
		// below its own could tell it nothing: another election raises ours.
		_ = g.rn.Step(&pb.Message{Type: pb.MsgAppResp.Enum(), From: &from.id, To: &c.cfg.Member, Term: &rec.term})
		c.drain(g)
		c.wake(g)
		c.campaign(g)
		return
	}
	c.record(from, func(dst []byte) []byte { return appendAskRecord(dst, recGone, g.id, g.term, g.commit, rec.nonce) })
	from.urgent = true
}

// told takes the leader's word that the replica is no member.
func (c *Core) told(g *group, rec record) {
	if !g.stray || g.gone || g.asked == 0 || rec.nonce != g.asked {
		return
	}
	hs := g.rn.BasicStatus()
	if rec.term < hs.GetTerm() {
		return
	}
	g.tomb = Tomb{Index: max(rec.index, g.applied, g.tomb.Index), Term: rec.term}
	if rec.term == hs.GetTerm() {
		g.tomb.Vote = hs.GetVote()
	}
	c.bury(g)
}

// bury ends a replica's part in its group at once; what it has on disk goes when
// the work under way is done.
func (c *Core) bury(g *group) {
	g.gone = true
	c.stand(g)
	c.refuseAll(g)
	c.endPull(g)
	if g.lead != 0 {
		c.next.Leaders = append(c.next.Leaders, LeaderChange{Group: g.id, Term: g.tomb.Term})
	}
	g.state, g.lead = raft.StateFollower, 0
	if i := slices.Index(c.awake, g); i >= 0 {
		c.awake = slices.Delete(c.awake, i, i+1)
	}
	g.asleep = true
	c.handOutRemoval(g)
}

// Disown buries all replicas, because their member is no more: the store that they are in gets another number. What
// they have promised stays with the store.
func (c *Core) Disown() {
	for _, g := range c.list {
		if g.gone || g.rn == nil { // that has not started is asked for again
			continue
		}
		if !g.stray {
			g.stray = true
			c.strays = append(c.strays, g)
		}
		hs := g.rn.BasicStatus()
		// Who gets another number was none of those of the beginning.
		g.tomb = Tomb{Index: max(g.applied, g.tomb.Index, FirstIndex), Term: hs.GetTerm(), Vote: hs.GetVote()}
		if c.cfg.Faults.DisownForgets {
			g.tomb.Term, g.tomb.Vote = 0, 0
		}
		c.bury(g)
	}
}

// handOutRemoval waits for what the group has under way: the WAL's record of the
// removal must come behind everything else of it.
func (c *Core) handOutRemoval(g *group) {
	if g.removing || g.tasks > 0 || len(g.held) > 0 || g.staging > 0 || g.snap.phase == snapMaking {
		return
	}
	if g.batch.seq > c.wal.durable() {
		c.wal.urgent = true
		return
	}
	g.removing = true
	c.next.Removals = append(c.next.Removals, Removal{Group: g.id, Tomb: g.tomb})
}

// Removed reports that the state of a Removal is deleted, durably. done is
// called, from within WALDone, when the WAL has forgotten the group's entries,
// too, and the group may be added again. A crash before that is mended by Add.
func (c *Core) Removed(id uint32, done func()) {
	g := c.groups[id]
	q := &c.wal
	q.batch.Snapshots = append(q.batch.Snapshots, wal.Snapshot{Group: id, Index: g.tomb.Index, Term: g.tomb.Term})
	c.gatherState(g, g.tomb.hardState(id))
	c.WhenDurable(func() {
		g.log.reset(0, 0) // gives its memory back
		delete(c.groups, id)
		c.fitness(g, false)
		c.list = slices.DeleteFunc(c.list, func(o *group) bool { return o == g })
		c.strays = slices.DeleteFunc(c.strays, func(o *group) bool { return o == g })
		done()
	})
}

// hardState is what is left of the promises: no commit position, which would
// be that of entries that are no more.
func (t Tomb) hardState(group uint32) wal.HardState {
	return wal.HardState{Group: group, Term: t.Term, Vote: t.Vote}
}

// Resume is what a new replica starts from: what the WAL has of the promises of
// after the removal, or else those of before.
func (t Tomb) Resume(hs wal.HardState) wal.HardState {
	switch {
	case hs.Term < t.Term:
		return t.hardState(hs.Group)
	case hs.Term == t.Term && hs.Vote == 0:
		hs.Vote = t.Vote
	}
	hs.Commit = 0
	return hs
}

// outdated tells of a rejection of what the follower is known to have: it is late.
// If it is not, because an earlier replica of the member had it, raft would send
// the same append again at once, and so on without end; the leader's look at
// learners that stand still mends that.
func (c *Core) outdated(g *group, m *pb.Message) bool {
	if m.GetType() != pb.MsgAppResp || !m.GetReject() || g.state != raft.StateLeader || m.GetTerm() != g.term {
		return false
	}
	late := false
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracked) {
		late = late || id == m.GetFrom() && m.GetIndex() <= pr.Match
	})
	return late
}

// deaf tells whether a replica must not react to a message. One that follows an
// earlier replica of the same member and is still empty does not know what that
// knew: it votes for nobody, and takes no snapshot of before the removal. A leader
// makes it a voter only when it has caught up, so that nobody needs its vote before.
func (g *group) deaf(m *pb.Message) bool {
	if g.log.last() > 0 || g.tomb.Index == 0 {
		return false
	}
	switch m.GetType() {
	case pb.MsgHeartbeat:
		// Sent to an earlier replica, or on the word of one, that had entries.
		m.Commit = nil
	case pb.MsgVote, pb.MsgPreVote:
		return true
	case pb.MsgSnap:
		return m.GetSnapshot().GetMetadata().GetIndex() <= g.tomb.Index
	}
	return false
}
