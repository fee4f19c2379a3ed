package sim

import (
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
)

// publish shows what replicas say of themselves, as replication.Node does.
func (n *node) publish(changed []core.Standing) {
	for i := range changed {
		n.standings[changed[i].Group] = changed[i]
	}
}

// term is what the node tells who wants to confirm a read.
func (n *node) term(group uint32) uint64 { return n.standings[group].Term }

// readConfirmedBy answers a read at once, if it can; some time may pass between the
// look at what the replica says of itself and the one at the state. Otherwise not is
// called.
func (n *node) readConfirmedBy(member uint64, group uint32, r *op.Read, done func(op.ReadResult, uint64), not func()) {
	s := n.standings[group]
	if !s.Leads || !s.Majority(n.member, member) {
		not()
		return
	}
	n.later(n.w.between(0, ms), func() {
		part := n.parts[group]
		if part == nil {
			not()
			return
		}
		if res := part.Read(r); s.Shown(&res) {
			done(res, s.Term)
			return
		}
		not()
	})
}

// pair is what a leader and another voter have said about a read.
type pair struct {
	res        op.ReadResult
	term, said uint64 // 0: nothing yet
	done       func(op.ReadResult)
}

// judge gives the answer if both have said the same.
func (p *pair) judge(w *world) {
	if p.term == 0 || p.said == 0 || p.done == nil {
		return
	}
	if p.said == p.term || w.opt.Faults.AnyTermConfirms {
		p.done(p.res)
		p.done = nil
	}
}

// askPair asks a node for the value and the member of another for its term, both now.
// Unconfirmed it has no answer; plain gets an answer that needs no confirmation.
func (w *world) askPair(leader, other *node, group uint32, r *op.Read, done, plain func(op.ReadResult)) {
	p := &pair{done: done}
	key := diskKey{other.index, group}
	if w.opt.Faults.ConfirmedBefore {
		p.said = w.heard[key]
	}
	w.deliver(func() {
		if leader.up {
			leader.readConfirmedBy(other.member, group, r, func(res op.ReadResult, term uint64) {
				w.deliver(func() {
					p.res, p.term = res, term
					p.judge(w)
				})
			}, func() {
				leader.read(group, r, func(res op.ReadResult) { w.deliver(func() { plain(res) }) })
			})
		}
	})
	w.deliver(func() {
		if !other.up {
			return
		}
		said := other.term(group)
		w.deliver(func() {
			if w.heard[key] = said; p.said == 0 {
				p.said = said
			}
			p.judge(w)
		})
	})
}

// confirmedReads asks whoever believes that it leads now and then, has another node
// confirm it, and checks that the answer shows all that anybody was told before.
func (w *world) confirmedReads() {
	if w.calm {
		return
	}
	w.after(w.between(ms, 20*ms), w.confirmedReads)
	group := uint32(w.rng.IntN(partitions))
	var leaders []*node
	for _, n := range w.nodes {
		if n.up && n.standings[group].Term > 0 && (n.standings[group].Leads || w.chance(0.05)) {
			leaders = append(leaders, n)
		}
	}
	if len(leaders) == 0 {
		return
	}
	leader, other := leaders[w.rng.IntN(len(leaders))], w.nodes[w.rng.IntN(len(w.nodes))]
	begun := w.now
	r := &op.Read{Kind: op.Get, Root: "root-0"}
	w.askPair(leader, other, group, r, func(res op.ReadResult) {
		want := max(w.acked[group].before(begun), w.shown[group].before(begun))
		if res.Position < want {
			w.fail("group %d: node %d, confirmed by node %d, answers from index %d; %d was known before", group, leader.id(), other.id(), res.Position, want)
		}
		w.confirmed++
		w.shown[group] = w.shown[group].note(w.now, res.Position)
	}, func(op.ReadResult) {})
}
