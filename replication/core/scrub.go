package core

import (
	"slices"

	"go.etcd.io/raft/v3"
)

// Scrub is the outcome of comparing digests of a group's replicas, on its leader.
// It is told when a majority agrees or all have told, and again with each digest
// that comes later.
type Scrub struct {
	Group  uint32
	Index  uint64   // at which all were taken
	Voters int      // replicas that vote
	Told   int      // of these, have told a digest
	Agree  int      // of these, have what the majority has
	Wrong  []uint64 // members that have something else and were told to repair it
	// Undecided: the digests differ and none is that of a majority. Nobody is
	// repaired, for nobody knows who is right.
	Undecided bool
}

// digest is what a replica has told of its state.
type digest struct {
	index, sum uint64
	ordered    bool // the replica was told to repair its state
}

// Digest reports the digest of a group's state here as it was right behind the
// entry at index. It goes to the leader, who compares.
func (c *Core) Digest(id uint32, index, sum uint64) {
	g := c.groups[id]
	if g == nil || g.rn == nil || g.gone || g.lead == 0 {
		return
	}
	if g.state == raft.StateLeader {
		c.digested(g, c.cfg.Member, digest{index: index, sum: sum})
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
	res := Scrub{Group: g.id, Index: d.index, Voters: len(voters)}
	comparable := func(id uint64) (digest, bool) {
		o, ok := g.digests[id]
		return o, ok && (o.index == d.index || c.cfg.Faults.DigestOfAnyIndex)
	}
	for _, id := range voters {
		if o, ok := comparable(id); ok {
			counts[o.sum]++
			res.Told++
		}
	}
	var right uint64
	for sum, n := range counts {
		if n > len(voters)/2 {
			right, res.Agree = sum, n
		}
	}
	res.Undecided = res.Agree == 0
	if res.Undecided && res.Told < len(voters) {
		return
	}
	for _, id := range voters {
		o, ok := comparable(id)
		if !ok || res.Undecided || o.sum == right {
			continue
		}
		res.Wrong = append(res.Wrong, id)
		if !o.ordered {
			o.ordered = true
			g.digests[id] = o
			c.orderRepair(g, id, d.index)
		}
	}
	c.next.Scrubs = append(c.next.Scrubs, res)
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
