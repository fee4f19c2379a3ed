package core

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
)

// applyEntries turns a MsgStorageApply into a Task. Configuration changes take
// effect in raft here, when they are committed; the state gets the resulting
// configuration with the entry's position, so both are durable together.
func (c *Core) applyEntries(g *group, m *pb.Message) {
	ents := m.GetEntries()
	t := Task{Group: g.id, Entries: ents, resp: m.GetResponses()[0]}
	for i, e := range ents {
		if e.GetType() != pb.EntryNormal {
			if t.Confs == nil {
				t.Confs = make([][]byte, len(ents))
			}
			t.Confs[i] = c.confChange(g, e)
		}
		if len(g.pending) == 0 || g.pending[0].index != e.GetIndex() {
			continue
		}
		if t.Dones == nil {
			t.Dones = make([]func(op.WriteResult), len(ents))
		}
		t.Dones[i] = g.pending[0].done
		t.bytes += g.pending[0].size
		g.pending[0] = pendingProposal{}
		g.pending = g.pending[1:]
	}
	g.tasks++
	if g.repair.on && !c.cfg.Faults.RepairOvertaken {
		c.withhold(g, t)
		return
	}
	c.next.Tasks = append(c.next.Tasks, t)
}

// confChange makes a committed configuration change valid.
func (c *Core) confChange(g *group, e *pb.Entry) []byte {
	var cc pb.ConfChangeI
	if e.GetType() == pb.EntryConfChange {
		v1 := &pb.ConfChange{}
		mustUnmarshal(e, v1)
		cc = v1
	} else {
		v2 := &pb.ConfChangeV2{}
		mustUnmarshal(e, v2)
		cc = v2
	}
	cs := g.rn.ApplyConfChange(cc)
	if c.cfg.Faults.SkipJoint && len(cs.GetVotersOutgoing()) > 0 {
		cs = g.rn.ApplyConfChange(&pb.ConfChangeV2{})
	}
	g.confAt = e.GetIndex()
	g.knownAt = g.log.last() + 1
	c.setConf(g, cs)
	return EncodeConf(cs)
}

// mustUnmarshal decodes a committed entry. All replicas hold the same bytes: if
// they are no configuration change, going on would split the group.
func mustUnmarshal(e *pb.Entry, m proto.Message) {
	if err := proto.Unmarshal(e.GetData(), m); err != nil {
		panic(fmt.Sprintf("configuration change at index %d cannot be decoded: %v", e.GetIndex(), err))
	}
}

// Applied reports that the entries of a Task are applied and their Dones called.
func (c *Core) Applied(t *Task) {
	g := c.groups[t.Group]
	g.tasks--
	g.applied = max(g.applied, t.Entries[len(t.Entries)-1].GetIndex())
	c.pending -= t.bytes
	// Steps of a group to itself fail only if they are outdated.
	_ = g.rn.Step(t.resp)
	if g.rn.HasReady() {
		c.mark(g) // else nothing follows from it: it was looked at while it was at hand
	}
	c.releaseReads(g)
	c.compact(g)
	c.resume(g)
}
