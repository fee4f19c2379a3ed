package sim

import (
	"errors"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
)

// What a node does with scrubs and with a damaged state, as replication/scrub.go
// does it; with crashes at each step of a repair.

var errDiffers = errors.New("the digest of the state differs from that of the majority")

// scrub begins one now and then, on any group.
func (w *world) scrub() {
	w.after(w.between(200*ms, 2*second), w.scrub)
	w.scrubGroup(w.anyGroup())
}

func (w *world) scrubGroup(group uint32) {
	for _, n := range w.nodes {
		if n.up && n.member != 0 && n.leaderOf(group) == n.member {
			w.scrubs++
			n.core.Propose([]core.Proposal{{Group: group, Cmd: state.EncodeScrub(nil, n.clock()), Done: func(op.WriteResult) {}}})
			n.step()
			return
		}
	}
}

// digestScrub reads a picture a while later and tells its digest.
func (n *node) digestScrub(group uint32, v *state.Picture) {
	taken := n.w.now
	n.scrubs[v] = true
	n.later(n.w.between(0, 100*ms), func() {
		delete(n.scrubs, v)
		sum, err := v.Digest(func(int) error { return nil })
		index, _, _ := v.Position()
		v.Close()
		part := n.parts[group]
		switch {
		case part == nil:
		case errors.Is(err, state.ErrCorrupt):
			part.MarkDamaged(err)
		case err != nil:
			n.w.fail("node %d: scrub: %w", n.id(), err)
		default:
			n.w.check.scrubbed(n, group, index, sum, taken)
			n.core.Digest(group, index, sum)
			n.step()
		}
	})
}

// scrubbed compares the digest of a scrub with what is known of that index. One
// that is right shows that what was planted before is not there any more.
func (c *checker) scrubbed(n *node, group uint32, index, sum uint64, taken int64) {
	key, disk := entryKey{group, index}, diskKey{n.index, group}
	known, ok := c.digests[key]
	m := c.w.marks[disk]
	switch {
	case c.w.wasWrong(disk) && (!ok || known != sum):
		return // also where the picture is from before the damage was gone
	case ok && known != sum:
		c.w.fail("group %d, scrub at %d: node %d has another state than others had", group, index, n.id())
	case !ok:
		c.digests[key] = sum
	}
	if m != nil && m.at < taken && n.parts[group].Damaged() == nil {
		c.w.unmark(disk)
	}
}

// scrubResults takes note of what digests have told.
func (n *node) scrubResults(r *core.Round) {
	w := n.w
	for _, s := range r.Scrubs {
		if s.Undecided {
			w.fail("group %d, scrub at %d: no majority: %+v", s.Group, s.Index, s)
		}
		for _, id := range s.Wrong {
			if o := w.byMember(id); o != nil && !w.wasWrong(diskKey{o.index, s.Group}) {
				w.fail("group %d, scrub at %d: member %d is found wrong and is right", s.Group, s.Index, id)
			}
		}
	}
	for _, g := range r.Damages {
		if !w.wasWrong(diskKey{n.index, g}) {
			w.fail("group %d: node %d is to repair a state that is right", g, n.id())
		}
		n.later(w.between(0, 20*ms), func() { n.condemn(g) })
	}
	for _, g := range r.Repaired {
		n.later(0, func() {
			if !n.stumble() {
				n.checkDamage(g)
			}
		})
	}
}

func (n *node) condemn(group uint32) {
	part := n.parts[group]
	if part == nil || n.stumble() {
		return
	}
	n.w.logf("node %d condemns its state of group %d", n.id(), group)
	if err := part.Condemn(errDiffers); err != nil {
		n.w.fail("node %d: condemn: %w", n.id(), err)
		return
	}
	if m := n.w.marks[diskKey{n.index, group}]; m != nil {
		m.condemns = true
	}
	n.w.found++
	n.stumble()
}

// onDamaged hears of a damaged state while that is locked.
func (n *node) onDamaged(group uint32, err error) {
	n.w.logf("node %d: the state of group %d is damaged: %v", n.id(), group, err)
	n.w.found++
	n.later(0, func() { n.checkDamage(group) })
}

// checkDamage tells the core of a damaged state.
func (n *node) checkDamage(group uint32) {
	part := n.parts[group]
	if part == nil || part.Damaged() == nil {
		return
	}
	index, _ := part.Applied()
	n.damaged(group, nil, index)
}

func (n *node) damaged(group uint32, t *core.Task, index uint64) {
	if err := n.core.Damaged(group, t, index); err != nil {
		n.w.fail("node %d: %w", n.id(), err)
	}
	if !n.stumble() {
		n.step()
	}
}

// undone tells whether a task could not be done because the state is damaged.
func (n *node) undone(t *core.Task) bool {
	part := n.parts[t.Group]
	if t.Restore != nil || part.Damaged() == nil {
		return false
	}
	index, _ := part.Applied()
	n.damaged(t.Group, t, index)
	return true
}

// stumble lets the node crash at a step of a repair, now and then.
func (n *node) stumble() bool {
	if n.w.calm || !n.w.chance(0.1) {
		return false
	}
	n.w.count("crash in a repair")
	n.crash()
	return true
}

// mending tells whether the state of a group is damaged here.
func (n *node) mending(group uint32) bool {
	part := n.parts[group]
	return part != nil && part.Damaged() != nil
}

// replaced takes note of a state that was put in the place of another.
func (n *node) replaced(t *core.Task, part *state.Partition) {
	if part.Damaged() == nil {
		n.w.unmark(diskKey{n.index, t.Group})
		n.w.check.compare(n, part)
	}
	if t.Repair {
		n.w.repaired++
		n.w.logf("node %d has repaired its state of group %d", n.id(), t.Group)
	}
}
