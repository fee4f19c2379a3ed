package core

import (
	"errors"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
)

// roundsAnFsync is how many rounds of proposals go to the peers while one fsync
// runs here. Their entries could not be durable here before the next one, so more
// rounds would mean more messages and hardly less waiting.
const roundsAnFsync = 1

// Propose takes proposals for any groups. All of a group's that come before the
// next Advance become one append.
func (c *Core) Propose(ps []Proposal) {
	for _, p := range ps {
		g := c.groups[p.Group]
		if g == nil || !g.serves() || c.stopping {
			code, text := c.notHere(g)
			c.answerWrite(p.Done, op.WriteResult{Code: code, Text: text})
			continue
		}
		if c.full {
			c.answerWrite(p.Done, diskFull())
			continue
		}
		if c.pending+int64(len(p.Cmd)) > c.cfg.MaxPending {
			c.answerWrite(p.Done, overloaded())
			continue
		}
		if !g.admits(len(p.Cmd)) {
			c.answerWrite(p.Done, outran())
			continue
		}
		c.pending += int64(len(p.Cmd))
		if len(g.queue) == 0 {
			c.queued = append(c.queued, g)
		}
		g.queue = append(g.queue, p)
		c.wake(g)
		c.mark(g)
	}
}

func diskFull() op.WriteResult {
	return op.WriteResult{Code: op.Full, Text: "the disk of this data node is full; ask another replica, make room or try again later", RetryAfter: op.FullRetry}
}

func overloaded() op.WriteResult {
	return op.WriteResult{Code: op.Unavailable, Text: "this data node has too many writes under way; try again later"}
}

// proposeQueue gives the queue to raft, in as few appends as fit a message. While
// leadership is being transferred raft refuses: the queue waits for the outcome.
// True: raft has been given something.
func (c *Core) proposeQueue(g *group) bool {
	if len(g.queue) == 0 {
		return false
	}
	if g.state != raft.StateLeader {
		c.refuseQueue(g)
		return false
	}
	if c.wal.busy && c.rounds >= roundsAnFsync {
		return false // WALDone marks it again
	}
	c.proposing = true
	index := g.log.last()
	for len(g.queue) > 0 {
		n := chunk(g.queue, c.maxMessage())
		err := c.stepProposals(g, g.queue[:n])
		if errors.Is(err, raft.ErrProposalDropped) && g.rn.BasicStatus().LeadTransferee != 0 {
			return true
		}
		for i, p := range g.queue[:n] {
			if err != nil {
				c.pending -= int64(len(p.Cmd))
				c.answerWrite(p.Done, overloaded())
				continue
			}
			index++
			g.pending = append(g.pending, pendingProposal{index: index, size: int64(len(p.Cmd)), done: p.Done})
			if c.cfg.Spent != nil && !c.cfg.Faults.SpentEarly {
				c.cfg.Spent(p.Cmd)
			}
			g.queue[i] = Proposal{}
		}
		g.queue = g.queue[n:]
	}
	g.queue = nil
	return true
}

// stepProposals gives proposals to raft, which makes entries of its own of those it
// is given here, and copies their data: so they, and the commands, are used again.
func (c *Core) stepProposals(g *group, ps []Proposal) error {
	for len(c.proposed) < len(ps) {
		c.proposed = append(c.proposed, &pb.Entry{})
	}
	ents := c.proposed[:len(ps)]
	for i := range ps {
		ents[i].Data = ps[i].Cmd
		if c.cfg.Spent != nil && c.cfg.Faults.SpentEarly {
			c.cfg.Spent(ps[i].Cmd)
		}
	}
	err := g.rn.Step(&pb.Message{Type: &c.proposal, From: &c.cfg.Member, Entries: ents})
	for _, e := range ents {
		e.Data = nil
	}
	return err
}

// chunk is how many proposals fit a message of the size given; at least one.
func chunk(ps []Proposal, size int) int {
	for i := range ps {
		size -= len(ps[i].Cmd) + entryOverhead
		if size < 0 {
			return max(i, 1)
		}
	}
	return len(ps)
}

// refuseQueue answers proposals that were never given to raft.
func (c *Core) refuseQueue(g *group) {
	code, text := c.notHere(g)
	for _, p := range g.queue {
		c.pending -= int64(len(p.Cmd))
		c.answerWrite(p.Done, op.WriteResult{Code: code, Text: text})
	}
	g.queue = nil
}

// maxMessage bounds the entries of one raft message, in bytes, so that it fits
// a batch.
func (c *Core) maxMessage() int { return c.cfg.MaxBatch * 3 / 4 }
