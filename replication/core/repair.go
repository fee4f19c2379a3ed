package core

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
)

// A replica whose state is damaged gets another from a healthy one, by the same
// protocol as a snapshot, at an index not below its own. Its log is sound: it goes
// on voting, and acknowledges what is durable there. Meanwhile it applies nothing
// and answers nothing of the group, and gives leadership to who can.

const (
	repairTicks = 20 // ticks between questions for a state
	repairTries = 5  // questions to one before another is asked
)

// repair is where a damaged replica stands.
type repair struct {
	on    bool
	min   uint64 // index that the state has
	tasks []Task // that could not be done, and those that came since
	tries int
	offer *pb.Snapshot // that is being pulled
	swap  bool         // handed out
	over  bool         // another state is in place
}

// Damaged reports that a group's state here is damaged; applied is its position.
// t is a task that could not be done for that reason, or not all of it, nil if
// there is none: it comes again after the repair. An error tells that nobody else
// has the state.
func (c *Core) Damaged(id uint32, t *Task, applied uint64) error {
	g := c.groups[id]
	if g == nil {
		return nil
	}
	r := &g.repair
	if t != nil {
		r.tasks = append(r.tasks, *t)
	}
	r.min = max(r.min, applied)
	if r.on {
		c.resume(g)
		return nil
	}
	if len(g.conf.GetVoters())+len(g.conf.GetVotersOutgoing())+len(g.conf.GetLearners()) < 2 {
		return fmt.Errorf("the state of group %d is damaged and no other replica has it", id)
	}
	r.on, r.tries = true, 0
	c.refuseQueue(g)
	c.refuseReads(g)
	if g.snap.phase == snapReady {
		c.losePicture(g) // a wrong state must not spread; who takes it is offered another
	}
	c.repairing = append(c.repairing, g)
	c.wake(g)
	c.askState(g)
	return nil
}

// tickRepairs asks for a state until it comes.
func (c *Core) tickRepairs() {
	for _, g := range slices.Clone(c.repairing) {
		if g.gone { // nobody needs it any more
			g.tasks -= len(g.repair.tasks)
			for i := range g.repair.tasks {
				c.pending -= g.repair.tasks[i].bytes
			}
			g.repair = repair{}
			c.repairing = slices.DeleteFunc(c.repairing, func(o *group) bool { return o == g })
			continue
		}
		if g.in.name == nil && c.now%repairTicks == 0 {
			c.askState(g)
		}
	}
}

// askState asks one of the others for its state: the leader first.
func (c *Core) askState(g *group) {
	r := &g.repair
	if len(g.held) > 0 || g.restoring || r.swap || r.over {
		return
	}
	var from []uint64
	// While the configuration is joint, who leaves may be the only other one that has all.
	for _, id := range slices.Concat([]uint64{g.lead}, g.conf.GetVoters(), g.conf.GetVotersOutgoing(), g.conf.GetLearners()) {
		if id != 0 && id != c.cfg.Member && c.isUp(id) && !slices.Contains(from, id) {
			from = append(from, id)
		}
	}
	if len(from) == 0 {
		return
	}
	p := c.peer(from[r.tries/repairTries%len(from)])
	r.tries++
	c.record(p, func(dst []byte) []byte { return appendAskRecord(dst, recWant, g.id, 0, r.min, 0) })
	p.urgent = true
}

// wanted answers one who asks for this replica's state.
func (c *Core) wanted(g *group, p *peer, rec record) {
	s := &g.snap
	switch {
	case g.repair.on || g.applied < rec.index && !c.cfg.Faults.OlderState:
		return // another has it, or it is asked again
	case s.phase == snapReady && (s.snap.GetMetadata().GetIndex() >= rec.index || c.cfg.Faults.OlderState):
		c.offerState(g, p)
		return
	case s.phase == snapReady && len(s.takers) == 0:
		c.dropPicture(g)
	}
	c.makePicture(g)
	if s.phase == snapMaking && !slices.Contains(s.wants, p.id) {
		s.wants = append(s.wants, p.id)
	}
}

func (c *Core) offerState(g *group, p *peer) {
	c.record(p, func(dst []byte) []byte { return appendOfferRecord(dst, g.id, g.snap.snap) })
	p.urgent = true
}

// stateOffered begins to pull a state that was asked for.
func (c *Core) stateOffered(g *group, p *peer, rec record) {
	r := &g.repair
	meta := rec.snap.GetMetadata()
	older := meta.GetIndex() < r.min && !c.cfg.Faults.OlderState
	if !r.on || r.swap || r.over || older || len(g.held) > 0 || g.restoring {
		return
	}
	if g.in.name != nil && (g.in.offer != nil || bytes.Equal(g.in.name, rec.snap.GetData())) {
		return
	}
	r.offer = rec.snap
	c.beginPull(g, p.id, rec.snap.GetData(), nil)
}

// repaired puts the state that was pulled in the place of the damaged one.
func (c *Core) repaired(g *group) {
	r := &g.repair
	snap := r.offer
	c.endPull(g)
	if !r.on || r.swap || r.over || snap == nil || len(g.held) > 0 || g.restoring {
		c.dropStaged(g)
		return
	}
	r.swap = true
	g.tasks++
	c.next.Tasks = append(c.next.Tasks, Task{Group: g.id, Restore: snap, Repair: true})
}

// withhold keeps a task from the damaged state until that is repaired. Who waits
// for its proposals asks again: they are committed, so their answers will be there.
func (c *Core) withhold(g *group, t Task) {
	for _, done := range t.Dones {
		if done != nil {
			c.answerWrite(done, op.WriteResult{Code: op.Retry, Text: "this replica is damaged and being repaired; ask another under the same sequence"})
		}
	}
	t.Dones = nil
	g.repair.tasks = append(g.repair.tasks, t)
}

// healthy notes that another state is in place of a damaged one.
func (c *Core) healthy(g *group) {
	g.repair.over = g.repair.on
	c.resume(g)
}

// resume ends a repair when another state is in place and all tasks that were
// handed out have come back, done or not: then those that could not be done are
// handed out again, in the order of their entries. Entries that the new state has
// already change nothing.
func (c *Core) resume(g *group) {
	r := &g.repair
	if !r.over || g.tasks > len(r.tasks) && !c.cfg.Faults.RepairOvertaken {
		return
	}
	slices.SortFunc(r.tasks, func(a, b Task) int { return cmp.Compare(a.Entries[0].GetIndex(), b.Entries[0].GetIndex()) })
	c.next.Tasks = append(c.next.Tasks, r.tasks...)
	c.next.Repaired = append(c.next.Repaired, g.id)
	g.repair = repair{}
	c.repairing = slices.DeleteFunc(c.repairing, func(o *group) bool { return o == g })
	c.mark(g)
}

// relief is who can take leadership from a leader that cannot serve; 0: nobody.
func (c *Core) relief(g *group) uint64 {
	for _, id := range g.conf.GetVoters() {
		if id != c.cfg.Member && c.willing(id) && c.fit(g, id) {
			return id
		}
	}
	return 0
}

// serves tells whether a group led here can be asked.
func (g *group) serves() bool { return g.state == raft.StateLeader && !g.repair.on }
