package sim

import "github.com/rosterdb/rosterdb/ring"

// storm lets something go wrong now and then until the calm.
func (w *world) storm() {
	if w.calm {
		return
	}
	w.mishap()
	pause := w.between(100*ms, 2*second)
	if w.opt.Damage > 0 {
		pause /= 4
	}
	w.after(pause, w.storm)
}

// mishap draws one.
func (w *world) mishap() {
	if w.opt.Damage > 0 && w.chance(w.opt.Damage) {
		w.damage()
		return
	}
	n := w.victim()
	i := n.index
	switch w.rng.IntN(21) {
	case 0, 1, 2:
		w.count("crash")
		n.crash()
	case 3, 4:
		w.count("crash in a write")
		w.logf("node %d will crash in its next write", n.id())
		n.doomed = true
	case 5:
		w.count("cut")
		w.logf("node %d is cut off", n.id())
		w.isolate(i, true, true)
	case 6:
		w.count("cut one way")
		in := w.chance(0.5)
		w.logf("node %d is cut off in one direction (in: %v)", n.id(), in)
		w.isolate(i, in, !in)
	case 7:
		w.logf("links heal")
		w.heal()
	case 8, 9:
		w.count("bad network")
		w.logf("bad network")
		w.setNetwork(float64(w.between(50, 250))/1000, 0.15, ms, w.between(2*ms, 150*ms))
	case 10:
		w.logf("good network")
		w.setNetwork(0, 0, 200, 2*ms)
	case 11, 12:
		w.count("hint")
		w.hint(n, !n.up || w.chance(0.5))
	case 13:
		w.count("cut")
		w.logf("node %d is cut off, and is seen to be", n.id())
		w.heal()
		w.isolate(i, true, true)
		w.hint(n, true)
	case 14:
		w.fill(n)
	case 15:
		if w.chance(0.3) && n.member != 0 && !w.anyLost() && !w.anyMarked() {
			n.wipe()
		}
	default:
		w.damage()
	}
}

// victim is any node, or, for more harm, one that leads.
func (w *world) victim() *node {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if n.up && w.chance(0.6) {
		group := uint32(w.rng.IntN(partitions + 1))
		if group == partitions {
			group = ring.MetaPartition
		}
		if leader := w.byMember(n.leaderOf(group)); leader != nil {
			return leader
		}
	}
	return n
}

// hint tells the others, rightly or wrongly, that a node is gone or back.
func (w *world) hint(about *node, down bool) {
	w.logf("presence of node %d: down %v", about.id(), down)
	for _, n := range w.nodes {
		if n == about || !n.up {
			continue
		}
		n.later(w.between(0, 50*ms), func() {
			if down {
				n.core.PeerDown(about.id())
			} else {
				n.core.PeerUp(about.id())
			}
			n.step()
		})
	}
}

// fill makes a disk full for a while.
func (w *world) fill(n *node) {
	w.count("full disk")
	w.logf("disk of node %d fills up", n.id())
	disk := n.disk
	disk.SetCapacity(disk.Used())
	w.after(w.between(100*ms, 3*second), func() { disk.SetCapacity(0) })
}

// end calms everything.
func (w *world) end() {
	w.logf("calm")
	w.calm = true
	w.heal()
	w.setNetwork(0, 0, 200, 2*ms)
	for _, n := range w.nodes {
		n.disk.SetCapacity(0)
		if !n.up && !n.lost {
			n.start()
		}
	}
}
