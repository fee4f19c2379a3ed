package ring

import "math"

// leaders puts the preferred leader of each row first: the old one where it
// still is a replica, then evened out so that each member leads its share of
// what it holds, rounded. Leadership is cheap to move; data is not moved here.
func (l *layout) leaders() {
	leads := make([]int, len(l.ids))
	var open []int
	for p, row := range l.rows {
		if len(row) == 0 {
			continue
		}
		if len(l.old[p]) > 0 && l.usable[l.old[p][0]] && l.holds(p, l.old[p][0]) {
			l.lead(p, l.old[p][0])
			leads[row[0]]++
		} else {
			open = append(open, p)
		}
	}
	for _, p := range open {
		best := none
		for _, m := range l.rows[p] {
			if l.usable[m] && (best == none || leads[m] < leads[best]) {
				best = m
			}
		}
		if best != none {
			l.lead(p, best)
		}
		leads[l.rows[p][0]]++
	}
	l.evenLeaders(leads)
}

// lead swaps m to the front of row p.
func (l *layout) lead(p, m int) {
	row := l.rows[p]
	for s := range row {
		if row[s] == m {
			row[0], row[s] = row[s], row[0]
			return
		}
	}
}

// evenLeaders moves leaderships until every member's number is its share rounded
// down or up, or no path leads on. A fractional solution exists (each replica
// leads 1/len(row) of its row), so a whole one does.
func (l *layout) evenLeaders(leads []int) {
	share := make([]float64, len(l.ids))
	for _, row := range l.rows {
		for _, m := range row {
			if l.usable[m] {
				share[m] += 1 / float64(len(row))
			}
		}
	}
	const eps = 1e-6
	low, high := make([]int, len(share)), make([]int, len(share))
	for m, s := range share {
		low[m], high[m] = int(math.Floor(s+eps)), int(math.Ceil(s-eps))
	}
	l.shiftLeads(leads, func(m int) bool { return leads[m] > high[m] }, func(m int) bool { return leads[m] < high[m] })
	l.shiftLeads(leads, func(m int) bool { return leads[m] > low[m] }, func(m int) bool { return leads[m] < low[m] })
}

// shiftLeads moves one leadership at a time along a path from a member for
// which over holds to one for which under holds.
func (l *layout) shiftLeads(leads []int, over, under func(m int) bool) {
	for {
		moved := false
		for m := range l.ids {
			if !over(m) {
				continue
			}
			if path := l.leadPath(m, under); path != nil {
				for _, s := range path {
					l.lead(s.p, s.to)
				}
				leads[path[len(path)-1].from]--
				leads[path[0].to]++
				moved = true
				break
			}
		}
		if !moved {
			return
		}
	}
}

func (l *layout) leadPath(from int, under func(m int) bool) []step {
	came := make(map[int]step)
	queue := []int{from}
	for len(queue) > 0 {
		a := queue[0]
		queue = queue[1:]
		for p, row := range l.rows {
			if len(row) == 0 || row[0] != a {
				continue
			}
			for _, b := range row[1:] {
				if _, seen := came[b]; seen || b == from || !l.usable[b] {
					continue
				}
				came[b] = step{p, a, b}
				if under(b) {
					return trace(came, from, b)
				}
				queue = append(queue, b)
			}
		}
	}
	return nil
}
