package ring

import "slices"

// trim takes moves back that the steps before have made in vain: a partition
// gets an old replica back in place of a newcomer, and others exchange replicas,
// at no cost in moves, until each member holds as many as before. What is left
// has no such circle, and is about the least (a flow is of minimal cost when it
// has no circle of negative cost).
func (l *layout) trim() {
	for {
		circle := l.circle()
		if circle == nil {
			return
		}
		for _, s := range circle {
			l.take(s)
		}
	}
}

// circle finds steps that end with the loads they began with and one move less;
// nil if there are none.
func (l *layout) circle() []step {
	for back := range l.ids {
		if !l.usable[back] {
			continue
		}
		var came map[int]step
		for p, row := range l.rows {
			if l.holds(p, back) || !slices.Contains(l.old[p], back) {
				continue
			}
			for _, a := range row {
				if slices.Contains(l.old[p], a) || !l.fits(p, a, back) {
					continue
				}
				if came == nil {
					came = l.exchanges(back)
				}
				if _, ok := came[a]; !ok {
					continue
				}
				path := trace(came, back, a)
				if !slices.ContainsFunc(path, func(s step) bool { return s.p == p }) {
					return append(path, step{p, a, back})
				}
			}
		}
	}
	return nil
}

// exchanges is a tree of steps away from a member that cost no move: in a row
// both are old, or both are newcomers. Each partition occurs once on a way.
func (l *layout) exchanges(from int) map[int]step {
	came := make(map[int]step)
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
			old := slices.Contains(l.old[p], a)
			for b := range l.ids {
				if _, seen := came[b]; seen || b == from || slices.Contains(l.old[p], b) != old || !l.fits(p, a, b) {
					continue
				}
				came[b] = step{p, a, b}
				queue = append(queue, b)
			}
		}
	}
	return came
}
