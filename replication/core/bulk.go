package core

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Raft wants the order of one group's appends to a follower kept, or the follower
// takes what was overtaken for lost and everything is sent again. Nothing else needs
// an order: heartbeats, votes, answers and other groups' appends may pass by an append
// that takes long. So large appends, and long ones of what a follower has missed,
// leave as bulk, which everything else overtakes. Until such an append is answered,
// later ones of its group to the same follower leave as bulk, too, in order behind it;
// what would repeat it, as raft does after each heartbeat, is left out, and so is an
// append without entries: it would be refused for what it has overtaken.
const (
	// bulkTicks is for how long an answer is waited for. After that appends go out
	// again; the caller drops those that still wait there.
	bulkTicks = 20
	// bulkWaiting bounds what is under way to a member, all groups together, in
	// bytes; one append may exceed it. What is left out for that raft sends later.
	bulkWaiting = 16 << 20
	// groupWaiting does so for a group; raft keeps to it.
	groupWaiting = 2 << 20
)

// BulkKind tells bulk from what is urgent.
type BulkKind uint8

// The kinds of bulk. Zero is none: what is urgent, or small.
const (
	BulkAppend BulkKind = iota + 1 // an append
	BulkFrame                      // a frame of a snapshot
)

// Bulk names what a batch holds that everything else may overtake. To a member
// those of a kind and group must keep their order.
type Bulk struct {
	Kind  BulkKind
	Group uint32
	// Age is the term of an append, or the number of the picture that a frame is of.
	Age uint64
	// First and Last are the entries of an append, or both the number of a frame.
	First, Last uint64
}

// Outdates tells that other, for the same member, is not worth sending any more
// when b is there: it is of an earlier term or picture, or Raft begins again before it.
func (b Bulk) Outdates(other Bulk) bool {
	switch {
	case b.Kind != other.Kind || b.Group != other.Group || b == other:
		return false
	case b.Age != other.Age:
		return b.Age > other.Age
	}
	return b.Kind == BulkAppend && b.First <= other.First
}

// underway are the appends of a group that left as bulk to a follower and are
// not answered.
type underway struct {
	to          uint64
	term        uint64
	first, last uint64
	bytes       int64
	since       uint64 // tick in which the last one left
}

// asBulk takes an append out of the ordinary way: it leaves as bulk, or not at all.
// False: it travels with the rest.
func (c *Core) asBulk(g *group, p *peer, m *pb.Message) bool {
	if m.GetType() != pb.MsgApp {
		return false
	}
	u := g.underwayTo(p.id)
	if u != nil && u.term != m.GetTerm() {
		c.forgetBulk(g, func(u *underway) bool { return u.to == p.id })
		u = nil
	}
	ents := m.GetEntries()
	if len(ents) == 0 {
		return u != nil
	}
	var size int64
	for _, e := range ents {
		size += int64(len(e.GetData()))
	}
	first, last := ents[0].GetIndex(), ents[len(ents)-1].GetIndex()
	switch {
	case u != nil && first >= u.first && last <= u.last:
		return true
	case u == nil && size <= c.bulkFrom(g, first):
		return false
	case u == nil && p.underway >= bulkWaiting:
		return true
	case u == nil:
		g.underway = append(g.underway, underway{to: p.id, term: m.GetTerm(), first: first})
		u = &g.underway[len(g.underway)-1]
	}
	u.first, u.last, u.since = min(u.first, first), last, c.now
	u.bytes += size
	p.underway += size
	kind := byte(recMessage)
	if c.patient(g, m) {
		kind = recPatient
	} else if p.owes == 0 {
		p.owes = c.now
	}
	b := appendBatchHead(make([]byte, 0, int(size)+64*(len(ents)+1)), c.flags(), c.cfg.Incarnation, p.id)
	c.next.Sends = append(c.next.Sends, Send{
		To: p.id, Batch: sealBatch(appendMessageRecord(b, kind, g.id, m)),
		Bulk: Bulk{Kind: BulkAppend, Group: g.id, Age: m.GetTerm(), First: first, Last: last},
	})
	if c.cfg.Faults.AppendsOvertake {
		c.endBulk(g, u)
	}
	return true
}

// bulkFrom is the size in bytes above which an append is bulk: what does not fit a
// batch, or less where the follower lacks what others have and nobody waits for it.
func (c *Core) bulkFrom(g *group, first uint64) int64 {
	if first <= g.commit {
		return int64(c.cfg.MaxBatch / 8)
	}
	return int64(c.maxMessage())
}

func (g *group) underwayTo(id uint64) *underway {
	for i := range g.underway {
		if g.underway[i].to == id {
			return &g.underway[i]
		}
	}
	return nil
}

// answeredBulk forgets what the followers have, and what they should have long since.
func (c *Core) answeredBulk(g *group) {
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracked) {
		if u := g.underwayTo(id); u != nil && pr.Match >= u.last {
			c.endBulk(g, u)
		}
	})
	for i := len(g.underway) - 1; i >= 0; i-- {
		if u := &g.underway[i]; c.now-u.since >= bulkTicks {
			c.endBulk(g, u)
		}
	}
}

func (c *Core) endBulk(g *group, u *underway) {
	if p := c.peer(u.to); p != nil {
		p.underway -= u.bytes
	}
	g.underway = slices.DeleteFunc(g.underway, func(o underway) bool { return o.to == u.to })
}

// forgetBulk gives up appends under way and has the caller drop those that wait.
func (c *Core) forgetBulk(g *group, which func(*underway) bool) {
	for i := len(g.underway) - 1; i >= 0; i-- {
		if u := &g.underway[i]; which(u) {
			c.next.Sends = append(c.next.Sends, Send{To: u.to, Bulk: Bulk{Kind: BulkAppend, Group: g.id, Age: u.term + 1}})
			c.endBulk(g, u)
		}
	}
}

// forgetBulkTo does so for all that is under way to a member: it has lost it.
func (c *Core) forgetBulkTo(p *peer) {
	for _, g := range c.list {
		if len(g.underway) > 0 {
			c.forgetBulk(g, func(u *underway) bool { return u.to == p.id })
		}
	}
}

// dropFrames has the caller drop the frames of a picture that wait for a member.
func (c *Core) dropFrames(g *group, to uint64) {
	c.next.Sends = append(c.next.Sends, Send{To: to, Bulk: Bulk{Kind: BulkFrame, Group: g.id, Age: g.snap.number + 1}})
}
