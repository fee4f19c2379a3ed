package ring

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// fewest works out by a flow of minimal cost how many replicas must move for
// every member to hold its share and no zone more of a partition than it must:
// source, partition, zone of the partition, member, sink. A replica that stays
// costs nothing.
func fewest(old [][]uint64, members []Member, replicas int) int {
	l := newLayout(old, members, replicas)
	n, rows := len(l.ids), len(l.rows)
	source, sink := n+rows*(n+1), n+rows*(n+1)+1
	g := &flow{next: make([][]int, sink+1)}
	for p := range l.rows {
		g.edge(source, n+p, replicas, 0)
		linked := make(map[int]bool)
		for m := range n {
			if !l.usable[m] {
				continue
			}
			zone := n + rows*(1+l.zone[m]) + p
			if !linked[zone] {
				linked[zone] = true
				g.edge(n+p, zone, l.zoneCap, 0)
			}
			cost := 1
			if l.holds(p, m) {
				cost = 0
			}
			g.edge(zone, m, 1, cost)
		}
	}
	for m := range n {
		if l.usable[m] {
			g.edge(m, sink, l.target[m], 0)
		}
	}
	total := 0
	for {
		cost, more := g.augment(source, sink)
		if !more {
			return total
		}
		total += cost
	}
}

// flow is a network; edge i and its way back i^1 lie side by side.
type flow struct {
	to, room, cost []int
	next           [][]int // edges by node
}

func (g *flow) edge(a, b, room, cost int) {
	g.next[a], g.next[b] = append(g.next[a], len(g.to)), append(g.next[b], len(g.to)+1)
	g.to, g.room, g.cost = append(g.to, b, a), append(g.room, room, 0), append(g.cost, cost, -cost)
}

// augment sends one unit along a cheapest path (Bellman-Ford with a queue).
func (g *flow) augment(from, to int) (cost int, ok bool) {
	const far = 1 << 30
	dist, by := make([]int, len(g.next)), make([]int, len(g.next))
	queued := make([]bool, len(g.next))
	for i := range dist {
		dist[i] = far
	}
	dist[from] = 0
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		a := queue[0]
		queued[a] = false
		for _, e := range g.next[a] {
			b := g.to[e]
			if g.room[e] == 0 || dist[a]+g.cost[e] >= dist[b] {
				continue
			}
			dist[b], by[b] = dist[a]+g.cost[e], e
			if !queued[b] {
				queued[b] = true
				queue = append(queue, b)
			}
		}
	}
	if dist[to] == far {
		return 0, false
	}
	for b := to; b != from; b = g.to[by[b]^1] {
		g.room[by[b]]--
		g.room[by[b]^1]++
	}
	return dist[to], true
}

func drawnMembers(n int, edit func(i int, m *Member)) []Member {
	out := make([]Member, n)
	for i := range out {
		out[i] = Member{ID: uint64(i + 1), JID: fmt.Sprintf("dn%d@d/store", i+1), Store: fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1), State: Active}
		edit(i, &out[i])
	}
	return out
}

// TestPlansMoveLeast: in walks of joins, leaves, weights and zones every plan moves at most
// a tenth more than the least possible. The walks are the same each time, by their seeds.
func TestPlansMoveLeast(t *testing.T) {
	for seed := range uint64(100) {
		walkOfChanges(t, seed)
	}
}

func walkOfChanges(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	zones, weighted := []int{0, 2, 3, 4}[r.IntN(4)], r.IntN(2) == 1
	all := drawnMembers(16, func(i int, m *Member) {
		if zones > 0 {
			m.Zone = fmt.Sprintf("z%d", i%zones)
		}
		if weighted {
			m.Weight = 1 + r.IntN(3)
		}
	})
	smallest := max(3, zones)
	n := smallest + r.IntN(9-smallest)
	w := &walk{t: t, name: fmt.Sprintf("seed %d, %d zones, weighted %v", seed, zones, weighted), waiting: all[n:]}
	w.begin(all[:n])
	for range 1 + r.IntN(4) {
		joins, leaves := r.IntN(3), -1
		if joins == 0 && len(w.d.Members) > smallest+1 { // together with those who join, or alone
			leaves = r.IntN(len(w.d.Members))
		}
		w.change(joins, leaves)
	}
}

// TestPlansTakeEvictionsBack: two nodes and then a heavy one join three of unequal weight in
// two zones. Whose place the heavy one takes in a partition is decided before all is known,
// and put right without a further move.
func TestPlansTakeEvictionsBack(t *testing.T) {
	all := drawnMembers(6, func(i int, m *Member) {
		m.Zone, m.Weight = fmt.Sprintf("z%d", i%2), []int{1, 2, 1, 1, 1, 3}[i]
	})
	w := &walk{t: t, name: "a heavy one joins", waiting: all[3:]}
	w.begin(all[:3])
	w.change(2, -1)
	if moves, least := w.change(1, -1); moves != least {
		t.Errorf("%d replicas move, %d are enough", moves, least)
	}
}

// walk is a ring that changes, with members that wait to join.
type walk struct {
	t       *testing.T
	name    string
	d       *Document
	waiting []Member
}

func (w *walk) begin(m []Member) {
	var err error
	w.d, err = New(m, Options{Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Partitions: 64, Replicas: 3})
	if err != nil {
		w.t.Fatal(err)
	}
}

// change lets members join, and the one at a place leave (-1: nobody), and checks the plan.
func (w *walk) change(joins, leaves int) (moves, least int) {
	w.t.Helper()
	m := slices.Clone(w.d.Members)
	for range min(joins, len(w.waiting)) {
		w.waiting[0].State = Joining
		m, w.waiting = append(m, w.waiting[0]), w.waiting[1:]
	}
	if leaves >= 0 {
		m[leaves].State = Leaving
	}
	pl, err := MakePlan(w.d, m, PlanOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	least = fewest(w.d.Table, m, w.d.Replicas)
	if 10*pl.Moves > 11*least {
		w.t.Errorf("%s: %d replicas move, %d are enough (%d to %d members)", w.name, pl.Moves, least, len(w.d.Members), len(m))
	}
	if len(pl.Rounds) > 0 {
		w.d.Table = pl.Rounds[len(pl.Rounds)-1].Target
	}
	w.d.Members = slices.DeleteFunc(m, func(x Member) bool { return x.State == Leaving })
	for i := range w.d.Members {
		w.d.Members[i].State = Active
	}
	return pl.Moves, least
}

// TestThreeFiveFour is the walk of the documentation, in figures.
func TestThreeFiveFour(t *testing.T) {
	all := drawnMembers(5, func(int, *Member) {})
	d, err := New(all[:3], Options{Cluster: "6f1a2b3c-0000-4000-8000-000000000001"})
	if err != nil {
		t.Fatal(err)
	}
	sizes := make([]int64, d.Partitions)
	for p := range sizes {
		sizes[p] = 1000
	}
	grow, err := MakePlan(d, all, PlanOptions{Sizes: sizes})
	if err != nil {
		t.Fatal(err)
	}
	// Two of five members hold two fifths of 813 replicas; those that are there
	// keep what is left over.
	if grow.Moves != 324 || grow.Least != 324 || grow.Bytes != 324000 {
		t.Errorf("3 to 5: %d moves, least %d, %d bytes", grow.Moves, grow.Least, grow.Bytes)
	}
	d.Members, d.Table = all, grow.Rounds[len(grow.Rounds)-1].Target
	m := slices.Clone(all)
	m[2].State = Leaving
	shrink, err := MakePlan(d, m, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, row := range d.Table {
		if slices.Contains(row, 3) {
			held++
		}
	}
	if shrink.Moves != held || shrink.Least != held {
		t.Errorf("5 to 4: %d moves, least %d, the one that leaves held %d", shrink.Moves, shrink.Least, held)
	}
}

// TestWarnings: each is told when it is due.
func TestWarnings(t *testing.T) {
	three := drawnMembers(3, func(int, *Member) {})
	d, err := New(three, Options{Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	two, err := New(three, Options{Cluster: d.Cluster, Partitions: 4, Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	zoned := func(zones ...string) []Member {
		return drawnMembers(len(zones), func(i int, m *Member) { m.Zone = zones[i] })
	}
	joined := append(slices.Clone(three), Member{ID: 4, JID: "dn4@d/store", Store: "00000000-0000-4000-8000-000000000009", State: Joining})
	left := slices.Clone(joined)
	left[0].State = Leaving
	pairs := zoned("za", "za", "zb", "zb", "zc", "zc")
	six, err := New(pairs, Options{Cluster: d.Cluster, Partitions: 30})
	if err != nil {
		t.Fatal(err)
	}
	alone := slices.Clone(six.Members)
	alone[0].State = Leaving
	for _, c := range []struct {
		name string
		d    *Document
		m    []Member
		down map[uint64]bool
		want []string
	}{
		{"nothing", d, three, nil, nil},
		{"one down", d, three, map[uint64]bool{2: true}, []string{"4 partitions with a bare majority: until the change has refilled them they survive no further failure"}},
		{"two down", d, three, map[uint64]bool{2: true, 3: true}, []string{"4 partitions lost half or more of the replicas and cannot elect a leader: what is there cannot move before those members are back"}},
		{"two replicas", two, three, nil, []string{"the change leaves 3 nodes for 2 replicas of each partition: no failure is survived, while it runs or after"}},
		{"one zone", d, zoned("a", "a", "a"), nil, []string{"partitions 0, 1, 2, 3 would have no second zone"}},
		{"two zones", d, zoned("a", "a", "b"), nil, []string{"2 zones for 3 replicas: a lost zone can take more than one replica of a partition"}},
		{"half zoned", d, zoned("a", "b", ""), nil, []string{"1 member without a zone: each counts as a zone of its own"}},
		{"not there", d, joined, map[uint64]bool{4: true}, []string{"dn4@d/store is to join and is not online"}},
		{"no spare", d, left, nil, []string{"the change leaves 3 nodes for 3 replicas: each holds everything, and what a lost one held can be made anew only on a new one"}},
		{"zones of two", six, six.Members, nil, nil},
		{"alone in its zone", six, alone, nil, []string{"zone za would have 1 node, each with up to 30 replicas; without zones it would be 18: add a node to it"}},
	} {
		pl, err := MakePlan(c.d, c.m, PlanOptions{Down: c.down})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(pl.Warnings, c.want) {
			t.Errorf("%s: %q, want %q", c.name, pl.Warnings, c.want)
		}
	}
}
