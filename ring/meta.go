package ring

import "slices"

// metaSize is the number of members of the meta group when there are so many
// that may hold replicas: as now if that is 3 or 5 and possible, else the next
// best.
func metaSize(now, usable int) int {
	if now < 3 {
		now = 3
	}
	return oddBelow(min(now, usable, 5))
}

// nextMeta returns the meta group that follows cur in one round: members that
// leave are replaced, crowded zones thinned out, and a majority of cur stays
// (unless the group shrinks to one). What is well stays, so that a group that is
// as it should be is returned as it is.
func nextMeta(cur []uint64, members []Member) []uint64 {
	m := newMetaGroup(cur, members)
	for m.removed < m.limit && m.dropLeaving() {
	}
	for len(m.ids) > m.want && m.dropCrowded() {
	}
	for len(m.ids) < m.want && m.add() {
	}
	if m.removed == 0 {
		m.spread()
	}
	slices.Sort(m.ids)
	return m.ids
}

// metaGroup is a meta group under construction.
type metaGroup struct {
	ids      []uint64
	usable   []Member
	zone     map[uint64]string
	want     int
	limit    int // members that may be removed in this round
	removed  int
	zoneCap  int
	shrinks  bool
	isUsable map[uint64]bool
}

func newMetaGroup(cur []uint64, members []Member) *metaGroup {
	m := &metaGroup{ids: slices.Clone(cur), zone: make(map[uint64]string), isUsable: make(map[uint64]bool)}
	sizes := make(map[string]int)
	for _, x := range members {
		m.zone[x.ID] = zoneOf(x)
		if x.State != Leaving {
			m.usable = append(m.usable, x)
			m.isUsable[x.ID] = true
			sizes[zoneOf(x)]++
		}
	}
	m.want = metaSize(len(cur), len(m.usable))
	m.limit = max((len(cur)-1)/2, 1)
	m.shrinks = m.want < len(cur)
	if m.shrinks {
		m.limit = max(m.limit, 2)
		m.want = max(m.want, len(cur)-2)
	}
	var list []int
	for _, n := range sizes {
		list = append(list, n)
	}
	m.zoneCap = zoneCap(list, min(m.want, len(m.usable)))
	return m
}

// zoneOf is the failure domain of a member; without a zone it is its own.
func zoneOf(m Member) string {
	if m.Zone == "" {
		return "\x00" + m.Store
	}
	return m.Zone
}

func (m *metaGroup) inZone(zone string) int {
	n := 0
	for _, id := range m.ids {
		if m.zone[id] == zone {
			n++
		}
	}
	return n
}

func (m *metaGroup) drop(i int) {
	m.ids = slices.Delete(m.ids, i, i+1)
	m.removed++
}

func (m *metaGroup) dropLeaving() bool {
	i := slices.IndexFunc(m.ids, func(id uint64) bool { return !m.isUsable[id] })
	if i < 0 {
		return false
	}
	m.drop(i)
	return true
}

// dropCrowded removes the member with the highest id of the fullest zone.
func (m *metaGroup) dropCrowded() bool {
	if m.removed >= m.limit {
		return false
	}
	best := none
	for i, id := range m.ids {
		if best == none || m.inZone(m.zone[id]) >= m.inZone(m.zone[m.ids[best]]) {
			best = i
		}
	}
	m.drop(best)
	return true
}

// candidate returns the member that fits best, of the emptiest zone, the lowest
// id first; 0 if there is none.
func (m *metaGroup) candidate() uint64 {
	var best uint64
	for _, x := range m.usable {
		if slices.Contains(m.ids, x.ID) {
			continue
		}
		if best == 0 || m.inZone(zoneOf(x)) < m.inZone(m.zone[best]) {
			best = x.ID
		}
	}
	return best
}

func (m *metaGroup) add() bool {
	id := m.candidate()
	if id == 0 {
		return false
	}
	m.ids = append(m.ids, id)
	return true
}

// spread swaps one member of a zone that has more than it needs to.
func (m *metaGroup) spread() {
	for i, id := range m.ids {
		if m.inZone(m.zone[id]) <= m.zoneCap {
			continue
		}
		rest := slices.Delete(slices.Clone(m.ids), i, i+1)
		other := &metaGroup{ids: rest, usable: m.usable, zone: m.zone}
		b := other.candidate()
		if b != 0 && b != id && m.zone[b] != m.zone[id] && m.inZone(m.zone[b]) < m.zoneCap {
			m.drop(i)
			m.ids = append(m.ids, b)
			return
		}
	}
}
