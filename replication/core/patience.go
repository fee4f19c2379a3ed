package core

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// A leader needs the word of half of its followers, not of all. The first in the
// order of the configuration behind the leader are asked at once; what goes to the
// others is marked as patient and waits for company, at the latest for the next
// tick, and so do their fsyncs and their answers. With three nodes each has one
// that it hurries and one that hurries it, so that what is patient mostly travels
// with something that is not. Measured with 16 writers, three data nodes and one
// XMPP server on two cores: docs/benchmarks.md. What is durable on a majority before
// it is acknowledged stays the same.
//
// Who does not answer for slowTicks is not relied on: then all are asked at once.
const slowTicks = 2

// patientBytes bounds what a patient follower gathers before it writes it, in bytes.
const patientBytes = 1 << 20

// hurry tells whether a group led here relies on the answer of a follower.
func (c *Core) hurry(g *group, to uint64) bool {
	voters := g.conf.GetVoters()
	own := slices.Index(voters, c.cfg.Member)
	if own < 0 || len(g.conf.GetVotersOutgoing()) > 0 || !slices.Contains(voters, to) {
		return true // a configuration that changes: the sooner the better
	}
	left := len(voters) / 2
	for i := 1; i < len(voters) && left > 0; i++ {
		id := voters[(own+i)%len(voters)]
		if p := c.peer(id); p == nil || !p.up || c.slow(p) {
			continue
		}
		if id == to {
			return true
		}
		left--
	}
	return left > 0
}

// slow tells whether a peer owes an answer to an append for too long.
func (c *Core) slow(p *peer) bool { return p.owes != 0 && c.now-p.owes >= slowTicks }

// patient tells whether the receiver may take its time for an append: it is
// neither the first of a new leader, nor what a follower that lags has missed.
func (c *Core) patient(g *group, m *pb.Message) bool {
	ents := m.GetEntries()
	return m.GetType() == pb.MsgApp && len(ents) > 0 && ents[0].GetIndex() > g.commit &&
		g.termStart != 0 && g.commit >= g.termStart && !c.hurry(g, m.GetTo())
}

// needless tells of a heartbeat that would confirm reads for which enough others
// are asked. If those do not answer, raft asks everybody with its next heartbeat.
func (c *Core) needless(g *group, m *pb.Message) bool {
	return m.GetType() == pb.MsgHeartbeat && len(m.GetContext()) > 0 &&
		g.reads.asked != nil && g.reads.askedAt == c.now && !c.hurry(g, m.GetTo())
}

// mayWait tells whether what follows an append, once it is durable, may wait for
// company: nothing but the answer to a patient leader.
func (g *group) mayWait(after []*pb.Message) bool {
	return g.patient && g.state == raft.StateFollower &&
		!slices.ContainsFunc(after, func(m *pb.Message) bool {
			return m.GetType() != pb.MsgAppResp && m.GetType() != pb.MsgStorageAppendResp
		})
}

// urgent tells whether a message must not wait for company. What only tells of
// a commit, and the answer to that, may wait a tick: nobody waits for it, and
// it would double the number of batches where there is little work.
func (g *group) urgent(m *pb.Message) bool {
	switch m.GetType() {
	case pb.MsgApp:
		return len(m.GetEntries()) > 0
	case pb.MsgAppResp:
		news := m.GetReject() || m.GetIndex() != g.acked.index || m.GetTerm() != g.acked.term
		g.acked.index, g.acked.term = m.GetIndex(), m.GetTerm()
		return news && (m.GetReject() || !g.patient)
	case pb.MsgHeartbeatResp:
		return len(m.GetContext()) > 0
	}
	return true
}
