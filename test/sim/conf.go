package sim

import (
	"bytes"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/replication/core"
)

// confs is what is known of a group's configurations: each holds from its index
// on until the next.
type confs []confAt

type confAt struct {
	index uint64
	raw   []byte
	cs    *pb.ConfState
}

func (c *checker) firstConf(group uint32, row []uint64) {
	raw := core.FirstConf(row)
	cs, _ := core.DecodeConf(raw)
	c.confs[group] = confs{{core.FirstIndex, raw, cs}}
}

// at is the place of the configuration that holds at an index.
func (l confs) at(index uint64) int {
	i := len(l) - 1
	for i > 0 && l[i].index > index {
		i--
	}
	return i
}

// configured checks a change of a group's configuration that a node is about to
// apply: it is the same everywhere, and follows from the one before by the rules.
func (c *checker) configured(n *node, group uint32, index uint64, raw []byte) {
	cs, err := core.DecodeConf(raw)
	if err != nil {
		c.w.fail("group %d, index %d: %w", group, index, err)
		return
	}
	c.own[diskKey{n.index, group}] = cs
	list := c.confs[group]
	if i := list.at(index); list[i].index == index {
		if !bytes.Equal(list[i].raw, raw) {
			c.w.fail("group %d, index %d: node %d has configuration %v, elsewhere it is %v", group, index, n.id(), cs, list[i].cs)
		}
		return
	}
	last := list[len(list)-1]
	if index < last.index {
		c.w.fail("group %d: the configuration of index %d comes after that of %d", group, index, last.index)
		return
	}
	if why := illegal(last.cs, cs); why != "" {
		c.w.fail("group %d, index %d: from %v to %v: %s", group, index, last.cs, cs, why)
	}
	c.w.logf("group %d: %v from %d on", group, cs, index)
	c.confs[group] = append(list, confAt{index, raw, cs})
}

// illegal tells which rule a change of the configuration breaks (Raft, sections
// 4.1 and 4.3, and ours: one replica at a time).
func illegal(from, to *pb.ConfState) string {
	was, is := from.GetVoters(), to.GetVoters()
	gone, come := less(was, is), less(is, was)
	switch {
	case len(from.GetVotersOutgoing()) > 0 && len(to.GetVotersOutgoing()) > 0:
		return "joint follows joint"
	case len(from.GetVotersOutgoing()) > 0:
		if gone+come > 0 {
			return "leaving the joint configuration changes the voters"
		}
	case len(to.GetVotersOutgoing()) > 0:
		if less(was, to.GetVotersOutgoing())+less(to.GetVotersOutgoing(), was) > 0 {
			return "the joint configuration leaves out old voters"
		}
		if gone > 1 || come > 1 {
			return "more than one replica is replaced"
		}
	case gone+come > 1:
		return "voters are swapped without a joint configuration"
	}
	return ""
}

// less counts the ids of a that are not in b.
func less(a, b []uint64) (n int) {
	for _, id := range a {
		if !slices.Contains(b, id) {
			n++
		}
	}
	return n
}

// restored notes the configuration that came with a snapshot.
func (c *checker) restored(n *node, group uint32, cs *pb.ConfState) {
	c.own[diskKey{n.index, group}] = cs
}

// led checks, after a step, the leadership of groups whose configuration changed.
func (c *checker) led(n *node, r *core.Round) {
	for i := range r.Tasks {
		if t := &r.Tasks[i]; t.Confs != nil && n.leaderOf(t.Group) == n.id() {
			c.leadsWithin(n, t.Group)
		}
	}
}

// leadsWithin checks that a node that leads is a voter by all it knows.
func (c *checker) leadsWithin(n *node, group uint32) {
	cs := c.own[diskKey{n.index, group}]
	if cs == nil || slices.Contains(cs.GetVoters(), n.id()) || slices.Contains(cs.GetVotersOutgoing(), n.id()) {
		return
	}
	c.w.fail("group %d: node %d leads and is no voter of %v", group, n.id(), cs)
}

// inConf tells whether a member is in the newest configuration of a group.
func (c *checker) inConf(group uint32, member uint64) bool {
	list := c.confs[group]
	cs := list[len(list)-1].cs
	for _, ids := range [...][]uint64{cs.GetVoters(), cs.GetVotersOutgoing(), cs.GetLearners(), cs.GetLearnersNext()} {
		if slices.Contains(ids, member) {
			return true
		}
	}
	return false
}

// majority tells whether an entry is durable on a majority of a configuration, of
// both its halves when it is joint.
func (c *checker) majority(cs *pb.ConfState, key entryKey, term uint64) bool {
	for _, ids := range [...][]uint64{cs.GetVoters(), cs.GetVotersOutgoing()} {
		copies := 0
		for _, id := range ids {
			if n := c.w.byMember(id); n != nil && c.holds(n.index, key, term) {
				copies++
			}
		}
		if len(ids) > 0 && copies <= len(ids)/2 {
			return false
		}
	}
	return true
}
