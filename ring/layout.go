package ring

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

// none stands for no member where a member's index is asked for.
const none = -1

// layout is a table under construction. Members are indices into ids, so that
// the loops below work on plain slices.
type layout struct {
	replicas int
	ids      []uint64
	usable   []bool // may hold replicas
	gone     []bool // not a member any more
	zone     []int  // failure domain; a member without a zone is one of its own
	weight   []float64
	zoneCap  int // most replicas of a partition in one zone

	old  [][]int // rows as they were
	rows [][]int // rows as they become
	load []int   // replicas held
	// target is the number of replicas a member shall hold.
	target []int
	share  [][]int // share[a][b]: partitions that a and b both hold

	oneChange bool // at most one newcomer a row
	pinOwners bool // the first of each row stays
}

func newLayout(table [][]uint64, members []Member, replicas int) *layout {
	l := &layout{replicas: replicas}
	at := make(map[uint64]int)
	zones := make(map[string]int)
	addMember := func(m Member, gone bool) {
		at[m.ID] = len(l.ids)
		l.ids = append(l.ids, m.ID)
		l.usable = append(l.usable, !gone && m.State != Leaving)
		l.gone = append(l.gone, gone)
		l.weight = append(l.weight, float64(max(m.Weight, 1)))
		z, known := zones[m.Zone]
		if !known || m.Zone == "" {
			z = len(l.zone) // never used before: there are no more zones than members
			zones[m.Zone] = z
		}
		l.zone = append(l.zone, z)
	}
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b Member) int { return compare(a.ID, b.ID) })
	for _, m := range sorted {
		addMember(m, false)
	}
	for _, row := range table {
		for _, id := range row {
			if _, ok := at[id]; !ok {
				addMember(Member{ID: id}, true)
			}
		}
	}
	n := len(l.ids)
	l.load = make([]int, n)
	l.share = make([][]int, n)
	for i := range l.share {
		l.share[i] = make([]int, n)
	}
	l.rows = make([][]int, len(table))
	l.old = make([][]int, len(table))
	for p, row := range table {
		for _, id := range row {
			l.add(p, at[id])
		}
		l.old[p] = slices.Clone(l.rows[p])
	}
	l.aim()
	return l
}

func (l *layout) table() [][]uint64 {
	out := make([][]uint64, len(l.rows))
	for p, row := range l.rows {
		out[p] = make([]uint64, len(row))
		for i, m := range row {
			out[p][i] = l.ids[m]
		}
	}
	return out
}

func (l *layout) holds(p, m int) bool { return slices.Contains(l.rows[p], m) }

// newcomers counts the members of row p that did not hold it before.
func (l *layout) newcomers(p int) int {
	n := 0
	for _, m := range l.rows[p] {
		if !slices.Contains(l.old[p], m) {
			n++
		}
	}
	return n
}

// inZone counts the replicas of p in zone z, leaving out member out.
func (l *layout) inZone(p, z, out int) int {
	n := 0
	for _, m := range l.rows[p] {
		if m != out && l.zone[m] == z {
			n++
		}
	}
	return n
}

// pairs counts the partitions that b shares with the other members of row p.
// Few shared ones mean that the load of a lost member falls on many.
func (l *layout) pairs(p, b, out int) int {
	n := 0
	for _, m := range l.rows[p] {
		if m != out {
			n += l.share[b][m]
		}
	}
	return n
}

func (l *layout) tie(p, b int) uint64 {
	var k [16]byte
	for i := range 8 {
		k[i] = byte(uint64(p) >> (8 * i))
		k[8+i] = byte(l.ids[b] >> (8 * i))
	}
	return xxhash.Sum64(k[:])
}

func (l *layout) add(p, b int) {
	l.meet(p, b, 1)
	l.rows[p] = append(l.rows[p], b)
	l.load[b]++
}

func (l *layout) drop(p, slot int) {
	m := l.rows[p][slot]
	l.meet(p, m, -1)
	l.rows[p] = slices.Delete(l.rows[p], slot, slot+1)
	l.load[m]--
}

func (l *layout) replace(p, slot, b int) {
	a := l.rows[p][slot]
	l.meet(p, a, -1)
	l.rows[p][slot] = b
	l.meet(p, b, 1)
	l.load[a]--
	l.load[b]++
}

// meet adds delta to what member b shares with the others of row p.
func (l *layout) meet(p, b, delta int) {
	for _, m := range l.rows[p] {
		if m != b {
			l.share[b][m] += delta
			l.share[m][b] += delta
		}
	}
}
