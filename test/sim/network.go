package sim

// network decides the fate of messages between nodes, and between clients and
// nodes (which share its quality, but not its cuts).
type network struct {
	loss, double float64
	delayLo      int64
	delayHi      int64
	cut          map[[2]int]bool // from, to
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
		n := w.byMember(to)
		if n == nil || !n.up || w.net.cut[[2]int{from.index, n.index}] {
			return
		}
		if _, member := n.doc.Member(sender); !member {
			return // as datanode does with what strangers send
		}
		if err := n.core.Receive(sender, batch); err != nil {
			w.fail("node %d: %w", n.id(), err)
		}
		n.step()
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
