package core

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
)

// readQueue holds a group's reads through the stages of ReadIndex (Raft thesis,
// section 6.4): waiting for a round of confirmation, in one, waiting to be applied.
type readQueue struct {
	waiting   []ReadRequest
	asked     []ReadRequest // in the round that runs; nil when none runs
	id        uint64        // of the last round
	begun     int64         // Core.clock when it began
	confirmed []readyReads

	// For Stale reads; see stale.go.
	fresh   freshness
	askedAt uint64 // tick in which a follower last asked its leader
	listed  bool   // in Core.asking
}

// readyReads may be served when index is applied.
type readyReads struct {
	index uint64
	reads []ReadRequest
}

// Read takes reads for any groups. Those of a group that wait share one round of
// confirmation.
func (c *Core) Read(reads []ReadRequest) {
	for _, r := range reads {
		g := c.groups[r.Group]
		stale := g != nil && r.stale() && g.rn != nil && !g.gone
		if c.stopping || !stale && (g == nil || !g.serves()) {
			code, text := c.notHere(g)
			c.answerRead(r.Done, op.ReadResult{Code: code, Text: text})
			continue
		}
		if c.waiting >= maxReads {
			c.answerRead(r.Done, op.ReadResult{Code: op.Unavailable, Text: "this data node has too many reads under way; try again later"})
			continue
		}
		c.waiting++
		if stale && c.readStale(g, r) {
			continue
		}
		g.reads.waiting = append(g.reads.waiting, r)
		c.wake(g)
		c.mark(g)
	}
}

// confirms tells whether a group's ReadIndex may be believed. A new leader first
// has to commit an entry of its own term, or its commit position may be behind
// what was acknowledged before; raft itself leaves that out in groups of one.
func (c *Core) confirms(g *group) bool {
	return g.state == raft.StateLeader && g.termStart != 0 && g.commit >= g.termStart
}

// askReads starts a round for all reads that wait: on the leader, or on a
// follower by asking its leader. True: raft has been given something.
func (c *Core) askReads(g *group) bool {
	q := &g.reads
	if len(q.waiting) == 0 || q.asked != nil {
		return false
	}
	leads := g.state == raft.StateLeader
	if leads && !c.confirms(g) || !leads && g.lead == 0 {
		return false
	}
	reads := q.waiting
	q.waiting = nil
	if leads && c.cfg.Faults.UnconfirmedReads {
		q.confirmed = append(q.confirmed, readyReads{index: g.commit, reads: reads})
		c.releaseReads(g)
		return false
	}
	q.asked = reads
	q.id++
	q.begun, q.askedAt = c.clock, c.now
	g.rn.ReadIndex(c.readContext(g))
	return true
}

// readContext names a group's round. The incarnation keeps an answer that was on
// its way when the node restarted from being taken for that of a later round.
func (c *Core) readContext(g *group) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 16), c.cfg.Incarnation)
	return binary.LittleEndian.AppendUint64(b, g.reads.id)
}

// readConfirmed ends a round: the leader still led after the reads came in.
func (c *Core) readConfirmed(g *group, rs raft.ReadState) {
	q := &g.reads
	if ctx := rs.RequestCtx; q.asked == nil || len(ctx) != 16 ||
		binary.LittleEndian.Uint64(ctx) != c.cfg.Incarnation || binary.LittleEndian.Uint64(ctx[8:]) != q.id {
		return // of a round given up when leadership was lost
	}
	q.confirmed = append(q.confirmed, readyReads{index: rs.Index, reads: q.asked})
	q.asked = nil
	c.refreshed(g, rs.Index)
	c.releaseReads(g)
	c.mark(g)
}

// releaseReads hands out the reads whose position is applied.
func (c *Core) releaseReads(g *group) {
	q := &g.reads
	for len(q.confirmed) > 0 && q.confirmed[0].index <= g.applied {
		reads := q.confirmed[0].reads
		c.waiting -= len(reads)
		c.next.Reads = append(c.next.Reads, reads...)
		q.confirmed[0] = readyReads{}
		q.confirmed = q.confirmed[1:]
	}
}

// refuseReads answers reads that were not confirmed before leadership was lost.
func (c *Core) refuseReads(g *group) {
	c.refuseReadList(g, g.reads.asked)
	c.refuseReadList(g, g.reads.waiting)
	g.reads.asked, g.reads.waiting = nil, nil
}

func (c *Core) refuseReadList(g *group, reads []ReadRequest) {
	code, text := c.notHere(g)
	for _, r := range reads {
		c.waiting--
		c.answerRead(r.Done, op.ReadResult{Code: code, Text: text})
	}
}

// tellCommit gives a follower the commit position ahead of the answer to its
// ReadIndex, or its reads would wait for the next heartbeat.
func (c *Core) tellCommit(g *group, p *peer) {
	var match uint64
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracked) {
		if id == p.id {
			match = pr.Match
		}
	})
	commit := min(match, g.commit)
	m := &pb.Message{Type: pb.MsgHeartbeat.Enum(), Term: &g.term, Commit: &commit}
	c.record(p, func(dst []byte) []byte { return appendMessageRecord(dst, recMessage, g.id, m) })
}
