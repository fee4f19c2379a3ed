package core

import (
	"bytes"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
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
	tasks []Task // that could not be done, in order
	tries int
	offer *pb.Snapshot // that is being pulled
	swap  bool         // handed out
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
		return nil
	}
	if len(g.conf.GetVoters()) < 2 {
		return fmt.Errorf("the state of group %d is damaged and no other replica has it", id)
	}
	r.on, r.tries = true, 0
	c.refuseQueue(g)
	c.refuseReads(g)
	c.dropPicture(g)
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
	if len(g.held) > 0 || g.restoring || r.swap {
		return
	}
	var from []uint64
	for _, id := range append([]uint64{g.lead}, g.conf.GetVoters()...) {
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
	case g.repair.on || g.applied < rec.index:
		return // another has it, or it is asked again
	case s.phase == snapReady && s.snap.GetMetadata().GetIndex() >= rec.index:
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
	if !r.on || r.swap || meta.GetIndex() < r.min || len(g.held) > 0 || g.restoring {
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
	if !r.on || r.swap || snap == nil || len(g.held) > 0 || g.restoring {
		c.dropStaged(g)
		return
	}
	r.swap = true
	g.tasks++
	c.next.Tasks = append(c.next.Tasks, Task{Group: g.id, Restore: snap, Repair: true})
}

// healthy ends a repair: another state is in place, and what could not be applied
// comes again. Entries that the new state has already change nothing.
func (c *Core) healthy(g *group) {
	r := &g.repair
	if !r.on {
		return
	}
	c.next.Tasks = append(c.next.Tasks, r.tasks...)
	g.repair = repair{}
	c.repairing = slices.DeleteFunc(c.repairing, func(o *group) bool { return o == g })
	c.mark(g)
}

// relief is who can take leadership from a damaged leader; 0: nobody.
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
