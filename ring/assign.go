package ring

import (
	"fmt"
	"math"
)

// Assign makes the next table out of old for the members given: the least moves
// that make replicas and leaders even again, by weight, with zones spread.
// Members that are Leaving or not in the list lose their replicas.
//
// Of one partition it replaces at most one replica (or adds or drops at most one,
// when replicas has changed), so that a majority of the old replicas stays: after
// the loss of two members more rounds are needed, see MakePlan. The same arguments
// give the same table. Errors: fewer usable members than replicas.
func Assign(old [][]uint64, members []Member, replicas int) ([][]uint64, error) {
	usable := 0
	for _, m := range members {
		if m.State != Leaving {
			usable++
		}
	}
	if usable < replicas {
		return nil, fmt.Errorf("%d replicas need as many data nodes, but %d would be left: add nodes first", replicas, usable)
	}
	l := newLayout(old, members, replicas)
	l.oneChange = true
	l.shrink()
	l.evict()
	l.fill()
	l.spread()
	l.balance()
	l.trim()
	l.leaders()
	return l.table(), nil
}

// shrink drops a replica of each row that has too many: of a member that is gone or
// leaves, if there is one, else of the one that holds the most too many.
func (l *layout) shrink() {
	for p, row := range l.rows {
		if len(row) <= l.replicas {
			continue
		}
		slot := 0
		for s, m := range row {
			if l.spare(m) > l.spare(row[slot]) {
				slot = s
			}
		}
		l.drop(p, slot)
	}
}

// spare says how well a member can do without one of its replicas.
func (l *layout) spare(m int) int {
	switch {
	case l.gone[m]:
		return math.MaxInt
	case !l.usable[m]:
		return math.MaxInt - 1
	}
	return l.load[m] - l.target[m]
}

// evict replaces members that may hold nothing any more, the ones that are gone
// before the ones that leave in good order.
func (l *layout) evict() {
	for p, row := range l.rows {
		slot := -1
		if len(row) < len(l.old[p]) {
			continue // it has lost one already
		}
		for s, m := range row {
			if !l.usable[m] && (slot < 0 || (l.gone[m] && !l.gone[row[slot]])) {
				slot = s
			}
		}
		if slot < 0 {
			continue
		}
		if b := l.candidate(p, row[slot]); b >= 0 {
			l.replace(p, slot, b)
		}
	}
}

// fill adds replicas to rows that have too few.
func (l *layout) fill() {
	for p := range l.rows {
		for len(l.rows[p]) < l.replicas {
			if l.oneChange && l.newcomers(p) > 0 {
				break
			}
			b := l.candidate(p, none)
			if b < 0 {
				break
			}
			l.add(p, b)
		}
	}
}

// spread mends rows that have more replicas in one zone than they need to. Of a
// crowded zone the member goes that has the most too many.
func (l *layout) spread() {
	for p, row := range l.rows {
		if l.oneChange && (l.newcomers(p) > 0 || len(row) < len(l.old[p])) {
			continue
		}
		slot, with := -1, none
		for s, m := range row {
			if l.inZone(p, l.zone[m], none) <= l.zoneCap || !l.usable[m] {
				continue
			}
			if slot >= 0 && l.load[m]-l.target[m] <= l.load[row[slot]]-l.target[row[slot]] {
				continue
			}
			if b := l.candidate(p, m); b >= 0 && l.zone[b] != l.zone[m] {
				slot, with = s, b
			}
		}
		if slot >= 0 {
			l.replace(p, slot, with)
		}
	}
}

// candidate returns the best member to join row p in place of out (none: to be
// added), or none. Zones bind as far as any candidate obeys them.
func (l *layout) candidate(p, out int) int {
	best, bestScore := none, score{}
	for b := range l.ids {
		if !l.usable[b] || l.holds(p, b) {
			continue
		}
		s := score{
			crowded: l.inZone(p, l.zone[b], out) >= l.zoneCap,
			missing: l.target[b] - l.load[b],
			pairs:   l.pairs(p, b, out),
			tie:     l.tie(p, b),
		}
		if best == none || s.better(bestScore) {
			best, bestScore = b, s
		}
	}
	return best
}

type score struct {
	crowded bool   // breaks the zone rule
	missing int    // replicas the member is short of
	pairs   int    // partitions shared with the others of the row
	tie     uint64 // spreads what is equal
}

func (a score) better(b score) bool {
	switch {
	case a.crowded != b.crowded:
		return !a.crowded
	case a.missing != b.missing:
		return a.missing > b.missing
	case a.pairs != b.pairs:
		return a.pairs < b.pairs
	default:
		return a.tie < b.tie
	}
}
