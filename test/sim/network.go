package sim

import (
	"errors"
	"slices"

	"github.com/rosterdb/rosterdb/replication/core"
)

// network decides the fate of messages between nodes, and between clients and
// nodes (which share its quality, but not its cuts).
type network struct {
	loss, double float64
	delayLo      int64
	delayHi      int64
	cut          map[[2]int]bool // from, to
	lanes        map[laneKey]*lane
}

func (w *world) setNetwork(loss, double float64, lo, hi int64) {
	w.net.loss, w.net.double, w.net.delayLo, w.net.delayHi = loss, double, lo, hi
}

// deliver calls f for each copy of a message that arrives.
func (w *world) deliver(f func()) {
	copies := 1
	if w.chance(w.net.double) {
		copies = 2
	}
	for range copies {
		if w.chance(w.net.loss) {
			continue
		}
		delay := w.between(w.net.delayLo, w.net.delayHi)
		if w.net.loss > 0 && w.chance(0.05) {
			delay += w.between(0, 2*second) // a straggler: overtaken by much
		}
		w.after(delay, f)
	}
}

// send carries a batch between nodes.
func (w *world) send(from *node, to uint64, batch []byte) {
	sender := from.member
	w.deliver(func() {
		n := w.at(to)
		if n == nil || !n.up || w.net.cut[[2]int{from.index, n.index}] {
			return
		}
		if n.doc == nil {
			return // it knows no ring, and so nobody
		}
		if _, member := n.doc.Member(sender); !member {
			return // as datanode does with what strangers send
		}
		b := slices.Clone(batch)
		if err := n.core.Receive(sender, b); err != nil && !errors.Is(err, core.ErrMisaddressed) {
			w.fail("node %d: %w", n.id(), err)
		}
		spoil(b)
		n.step()
	})
}

// at is the node that gets what is sent to a member: where it has lost its disk, the one that was
// named in its place, at the same address.
func (w *world) at(member uint64) *node {
	n := w.byMember(member)
	if n != nil && n.lost && n.heir != nil {
		return n.heir
	}
	return n
}

// spoil does to a batch what another user of its memory would: the engine must not look at it again.
func spoil(batch []byte) {
	for i := range batch {
		batch[i] = 0xDB
	}
}

// lane is what of a kind of bulk waits to leave a node for a member.
type lane struct {
	waiting []core.Send
	busy    bool
}

type laneKey struct {
	from, life int
	to         uint64
	kind       core.BulkKind
}

// sendBulk carries what everything else may overtake: in order, now and then very
// slowly, and without what has become useless while it waited.
func (w *world) sendBulk(from *node, s core.Send) {
	key := laneKey{from.index, from.life, s.To, s.Bulk.Kind}
	l := w.net.lanes[key]
	if l == nil {
		if w.net.lanes == nil {
			w.net.lanes = make(map[laneKey]*lane)
		}
		l = &lane{}
		w.net.lanes[key] = l
	}
	l.waiting = slices.DeleteFunc(l.waiting, func(o core.Send) bool { return s.Bulk.Outdates(o.Bulk) })
	if s.Batch == nil || slices.ContainsFunc(l.waiting, func(o core.Send) bool { return o.Bulk == s.Bulk }) {
		return
	}
	if l.waiting = append(l.waiting, s); !l.busy {
		l.busy = true
		w.leave(from, l)
	}
}

func (w *world) leave(from *node, l *lane) {
	delay := w.between(0, 10*ms)
	if w.chance(0.05) {
		delay += w.between(0, 2*second)
	}
	from.later(delay, func() {
		if l.busy = len(l.waiting) > 0; l.busy {
			s := l.waiting[0]
			l.waiting = l.waiting[1:]
			w.send(from, s.To, s.Batch)
			w.leave(from, l)
		}
	})
}

func (w *world) heal() { w.net.cut = make(map[[2]int]bool) }

// isolate cuts a node off, in both directions or in one.
func (w *world) isolate(i int, in, out bool) {
	for j := range w.nodes {
		if j == i {
			continue
		}
		if in {
			w.net.cut[[2]int{j, i}] = true
		}
		if out {
			w.net.cut[[2]int{i, j}] = true
		}
	}
}
