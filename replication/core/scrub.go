package core

import (
	"slices"

	"go.etcd.io/raft/v3"
)

// Scrub is the outcome of comparing digests of a group's replicas, on its leader.
type Scrub struct {
	Group uint32
	Index uint64   // at which all were taken
	Agree int      // replicas that have what the majority has
	Wrong []uint64 // members that have something else and are told to repair it
	// Undecided: the digests differ and none is that of a majority. Nobody is
	// repaired, for nobody knows who is right.
	Undecided bool
}

// digest is what a replica has told of its state.
type digest struct {
	index, sum uint64
}

// Digest reports the digest of a group's state here as it was right behind the
// entry at index. It goes to the leader, who compares.
func (c *Core) Digest(id uint32, index, sum uint64) {
	g := c.groups[id]
	if g == nil || g.rn == nil || g.gone || g.lead == 0 {
		return
	}
	if g.state == raft.StateLeader {
		c.digested(g, c.cfg.Member, digest{index, sum})
		return
	}
	if p := c.peer(g.lead); p != nil {
		c.record(p, func(dst []byte) []byte { return appendAskRecord(dst, recDigest, g.id, 0, index, sum) })
	}
}

// digested compares a digest with what others have told of the same index. States
// of different indexes differ and prove nothing.
func (c *Core) digested(g *group, member uint64, d digest) {
	voters := g.conf.GetVoters()
	if g.state != raft.StateLeader || !slices.Contains(voters, member) {
		return
	}
	if g.digests == nil {
		g.digests = make(map[uint64]digest)
	}
	g.digests[member] = d
	counts := make(map[uint64]int)
	told := 0
	for _, id := range voters {
		if o, ok := g.digests[id]; ok && (o.index == d.index || c.cfg.Faults.DigestOfAnyIndex) {
			counts[o.sum]++
			told++
		}
	}
	res := Scrub{Group: g.id, Index: d.index}
	var right uint64
	for sum, n := range counts {
		if n > len(voters)/2 {
			right, res.Agree = sum, n
		}
	}
	if res.Agree == 0 {
		if told == len(voters) {
			res.Undecided = true
			c.next.Scrubs = append(c.next.Scrubs, res)
		}
		return
	}
	for _, id := range voters {
		if o, ok := g.digests[id]; ok && (o.index == d.index || c.cfg.Faults.DigestOfAnyIndex) && o.sum != right {
			delete(g.digests, id) // told once
			res.Wrong = append(res.Wrong, id)
			c.orderRepair(g, id, d.index)
		}
	}
	if told == len(voters) || len(res.Wrong) > 0 {
		c.next.Scrubs = append(c.next.Scrubs, res)
	}
}

// orderRepair tells a replica that its state is wrong.
func (c *Core) orderRepair(g *group, id, index uint64) {
	if id == c.cfg.Member {
		c.next.Damages = append(c.next.Damages, g.id)
		return
	}
	if p := c.peer(id); p != nil {
		c.record(p, func(dst []byte) []byte { return appendAskRecord(dst, recWrong, g.id, g.term, index, 0) })
		p.urgent = true
	}
}

// wrong hears from the leader that the majority has another state.
func (c *Core) wrong(g *group, p *peer, rec record) {
	if g.lead == p.id && rec.term == g.term && !g.repair.on {
		c.next.Damages = append(c.next.Damages, g.id)
	}
}
