package ring

import "slices"

// step moves a replica of partition p from one member to another.
type step struct{ p, from, to int }

// balance moves replicas from members that hold more than their target to
// members that hold less, one replica at a time, until no move helps. Where no
// partition can go straight from one to the other it goes by way of a third
// (an augmenting path, as in a flow).
func (l *layout) balance() {
	for {
		from := l.fullest()
		if from == none {
			return
		}
		if s, ok := l.direct(); ok {
			l.take(s)
			continue
		}
		path := l.anyPath()
		if path == nil {
			return
		}
		for _, s := range path {
			l.take(s)
		}
	}
}

func (l *layout) take(s step) {
	for slot, m := range l.rows[s.p] {
		if m == s.from {
			l.replace(s.p, slot, s.to)
			return
		}
	}
}

// fullest returns the member that is furthest above its target.
func (l *layout) fullest() int {
	best := none
	for m := range l.ids {
		over := l.load[m] - l.target[m]
		if over > 0 && (best == none || over > l.load[best]-l.target[best]) {
			best = m
		}
	}
	return best
}

// direct returns the best single step from a member above its target to one below.
func (l *layout) direct() (step, bool) {
	best, found := step{}, false
	bestPairs, bestTie := 0, uint64(0)
	for p, row := range l.rows {
		for _, a := range row {
			if l.load[a] <= l.target[a] {
				continue
			}
			for b := range l.ids {
				if l.load[b] >= l.target[b] || !l.movable(p, a, b) || !l.fits(p, a, b) {
					continue
				}
				pairs, tie := l.pairs(p, b, a)-l.pairs(p, a, a), l.tie(p, b)
				if !found || pairs < bestPairs || (pairs == bestPairs && tie < bestTie) {
					best, found = step{p, a, b}, true
					bestPairs, bestTie = pairs, tie
				}
			}
		}
	}
	return best, found
}

// movable says whether a may lose its replica of p to b.
func (l *layout) movable(p, a, b int) bool {
	if l.pinOwners && l.rows[p][0] == a {
		return false
	}
	if l.oneChange && len(l.rows[p]) < len(l.old[p]) {
		return false
	}
	if !l.oneChange || l.newcomers(p) == 0 {
		return true
	}
	// Instead of the newcomer of this round another may come, and instead of who has lost
	// its replica to it another may lose it.
	return !slices.Contains(l.old[p], a) || slices.Contains(l.old[p], b)
}

// fits says whether b may take a's place in p.
func (l *layout) fits(p, a, b int) bool {
	return l.usable[b] && !l.holds(p, b) && l.inZone(p, l.zone[b], a) < l.zoneCap
}

// anyPath returns steps from some member above its target to one below, over
// members that end as they were. Each partition occurs once in it.
func (l *layout) anyPath() []step {
	for a := range l.ids {
		if l.load[a] > l.target[a] {
			if path := l.path(a); path != nil {
				return path
			}
		}
	}
	return nil
}

func (l *layout) path(from int) []step {
	came := make(map[int]step) // member -> last step towards it
	queue := []int{from}
	for len(queue) > 0 {
		a := queue[0]
		queue = queue[1:]
		used := make(map[int]bool)
		for m := a; m != from; m = came[m].from {
			used[came[m].p] = true
		}
		for p := range l.rows {
			if used[p] || !l.holds(p, a) {
				continue
			}
			for b := range l.ids {
				if _, seen := came[b]; seen || b == from || !l.movable(p, a, b) || !l.fits(p, a, b) {
					continue
				}
				came[b] = step{p, a, b}
				if l.load[b] < l.target[b] {
					return trace(came, from, b)
				}
				queue = append(queue, b)
			}
		}
	}
	return nil
}

func trace(came map[int]step, from, to int) []step {
	var path []step
	for m := to; m != from; m = came[m].from {
		path = append(path, came[m])
	}
	return path
}
