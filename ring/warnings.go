package ring

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// warner looks at a plan for what an operator should know before starting.
type warner struct {
	d       *Document
	members []Member // as they are to be
	down    map[uint64]bool
	rounds  int
	moves   int
	table   [][]uint64 // at the end
	meta    []uint64   // at the end
	out     []string
}

func (w *warner) all() []string {
	w.majorities()
	w.room()
	w.newcomers()
	w.zones()
	w.crowded()
	if w.rounds > 1 && w.moves > 0 {
		w.warn("%d rounds are needed, because no partition replaces more than one replica at a time", w.rounds)
	}
	return w.out
}

func (w *warner) warn(format string, args ...any) {
	w.out = append(w.out, fmt.Sprintf(format, args...))
}

// majorities looks at groups that have lost replicas already.
func (w *warner) majorities() {
	known := make(map[uint64]bool)
	for _, m := range w.members {
		known[m.ID] = true
	}
	lost, bare := 0, 0
	for _, row := range w.d.Table {
		gone := 0
		for _, id := range row {
			if !known[id] || w.down[id] {
				gone++
			}
		}
		switch left := len(row) - gone; {
		case gone == 0:
		case 2*left <= len(row):
			lost++
		case 2*(left-1) <= len(row):
			bare++
		}
	}
	if lost > 0 {
		w.warn("%s lost half or more of the replicas and cannot elect a leader: what is there cannot move before those members are back", count(lost, "partition"))
	}
	if bare > 0 {
		w.warn("%s with a bare majority: until the change has refilled them they survive no further failure", count(bare, "partition"))
	}
}

// room looks at how many members are left.
func (w *warner) room() {
	usable := 0
	for _, m := range w.members {
		if m.State != Leaving {
			usable++
		}
	}
	switch {
	case w.d.Replicas < 3:
		w.warn("the change leaves %s for %s of each partition: no failure is survived, while it runs or after", count(usable, "node"), count(w.d.Replicas, "replica"))
	case usable == w.d.Replicas && usable < len(w.members):
		w.warn("the change leaves %d nodes for %d replicas: each holds everything, and what a lost one held can be made anew only on a new one", usable, w.d.Replicas)
	}
	if len(w.meta) < len(w.d.Meta) {
		w.warn("the ring itself is kept by %d members instead of %d", len(w.meta), len(w.d.Meta))
	}
}

// newcomers looks at members that are to hold something and are not there.
func (w *warner) newcomers() {
	for _, m := range w.members {
		if m.State == Joining && w.down[m.ID] {
			w.warn("%s is to join and is not online", m.JID)
		}
	}
}

// zones looks at the partitions whose replicas would be close together.
func (w *warner) zones() {
	zone := make(map[uint64]string)
	named := make(map[string]bool)
	unzoned := 0
	for _, m := range w.members {
		zone[m.ID] = zoneOf(m)
		if m.State == Leaving {
			continue
		}
		if m.Zone == "" {
			unzoned++
		} else {
			named[m.Zone] = true
		}
	}
	if len(named) == 0 {
		return
	}
	var single []string
	for p, row := range w.table {
		zones := make(map[string]bool)
		for _, id := range row {
			zones[zone[id]] = true
		}
		if len(row) > 1 && len(zones) == 1 {
			single = append(single, fmt.Sprint(p))
		}
	}
	switch n := len(single); {
	case n == 1:
		w.warn("partition %s would have no second zone", single[0])
	case n > 4:
		w.warn("partitions %s and %d more would have no second zone", strings.Join(single[:3], ", "), n-3)
	case n > 1:
		w.warn("partitions %s would have no second zone", strings.Join(single, ", "))
	}
	if unzoned > 0 {
		w.warn("%s without a zone: each counts as a zone of its own", count(unzoned, "member"))
	} else if n := len(named); n > 1 && n < w.d.Replicas {
		w.warn("%d zones for %d replicas: a lost zone can take more than one replica of a partition", n, w.d.Replicas)
	}
}

// crowded looks for zones with so few members, or so little weight, that each would hold much more
// than it would without zones: half more and up.
func (w *warner) crowded() {
	even := slices.Clone(w.members)
	for i := range even {
		even[i].Zone = ""
	}
	l := newLayout(w.table, even, w.d.Replicas)
	at := make(map[string][]int) // by zone, the usable members of l that hold so much
	for i, id := range l.ids {
		j := slices.IndexFunc(w.members, func(m Member) bool { return m.ID == id })
		if j < 0 || !l.usable[i] || 2*l.load[i] < 3*l.target[i] || l.load[i] < l.target[i]+2 {
			continue
		}
		if z := w.members[j].Zone; z != "" {
			at[z] = append(at[z], i)
		}
	}
	for _, z := range slices.Sorted(maps.Keys(at)) {
		first := slices.MaxFunc(at[z], func(a, b int) int { return l.load[a] - l.load[b] })
		left := 0
		for _, m := range w.members {
			if m.Zone == z && m.State != Leaving {
				left++
			}
		}
		w.warn("zone %s would have %s, each with up to %d replicas; without zones it would be %d: add a node to it", z, count(left, "node"), l.load[first], l.target[first])
	}
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
