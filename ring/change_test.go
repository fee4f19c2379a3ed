package ring_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
	"pgregory.net/rapid"
)

// group is a Raft group as a model: it moves towards the goal of the document
// that it knows, over learners and a joint configuration.
type group struct {
	id       uint32
	voters   []uint64
	old      []uint64 // of the joint configuration
	learners []uint64
	doc      *ring.Document
}

func (g *group) report() ring.Report {
	return ring.Report{Voters: slices.Clone(g.voters), Learners: slices.Clone(g.learners), Joint: g.old != nil, Epoch: g.doc.Epoch}
}

func same(a, b []uint64) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// step does the next thing that brings the group to its goal.
func (g *group) step() {
	goal := g.doc.Goal(g.id)
	if c := g.doc.Change; c != nil && c.Canceled {
		goal = ring.Rest(g.voters, goal)
	} else if c != nil && c.Paused && g.old == nil {
		return
	}
	var missing []uint64
	for _, id := range goal {
		if !slices.Contains(g.voters, id) {
			missing = append(missing, id)
		}
	}
	switch {
	case g.old != nil: // leave the joint configuration
		g.old = nil
	case same(g.voters, goal):
		g.learners = nil
	case len(missing) > 0 && !same(missing, g.learners):
		g.learners = missing
	default:
		g.old, g.voters, g.learners = g.voters, slices.Clone(goal), nil
	}
}

// world is a cluster as Advance sees it.
type world struct {
	doc     *ring.Document
	groups  []*group
	reports map[uint32]ring.Report
}

func newWorld(d *ring.Document) *world {
	w := &world{doc: d, reports: map[uint32]ring.Report{}}
	for p := range d.Table {
		w.groups = append(w.groups, &group{id: uint32(p), voters: slices.Clone(d.Table[p]), doc: d})
	}
	w.groups = append(w.groups, &group{id: ring.MetaPartition, voters: slices.Clone(d.Meta), doc: d})
	return w
}

// publish takes over a document and checks what has to hold from one to the next.
func (w *world) publish(t rapid.TB, next *ring.Document) {
	t.Helper()
	if next.Epoch != w.doc.Epoch+1 {
		t.Fatalf("epoch %d after %d", next.Epoch, w.doc.Epoch)
	}
	if err := next.Validate(); err != nil {
		t.Fatal(err)
	}
	if next.LastID < w.doc.LastID {
		t.Fatal("the last id went back")
	}
	for _, g := range w.groups {
		was, now := w.doc.Group(g.id), next.Group(g.id)
		if lost := replaced(was, now); g.id == ring.MetaPartition && 2*lost >= len(was) && len(now) >= len(was) && lost > 1 {
			t.Fatalf("the meta group %v became %v at once", was, now)
		}
		if g.id != ring.MetaPartition && replaced(was, now) > 1 {
			t.Fatalf("partition %d: %v became %v at once", g.id, was, now)
		}
		if !same(was, now) && (g.old != nil || !same(g.voters, now)) {
			t.Fatalf("group %d: the table says %v, its voters are %v, joint with %v", g.id, now, g.voters, g.old)
		}
		if next.Change == nil && (g.old != nil || !same(g.voters, now)) {
			t.Fatalf("group %d: the change ended with %v, its voters are %v, joint with %v", g.id, now, g.voters, g.old)
		}
		for _, id := range slices.Concat(g.voters, g.old) {
			if _, ok := next.Member(id); !ok {
				t.Fatalf("group %d has voter %d, which is no member any more", g.id, id)
			}
		}
	}
	w.doc = next
}

// run lets groups move and report in an order that is drawn, until the change is
// over. Documents and reports may be late, never false.
func (w *world) run(t *rapid.T) {
	for i := 0; w.doc.Change != nil; i++ {
		if i > 40*len(w.groups) {
			t.Fatalf("no end: %+v", w.doc.Change)
		}
		for range len(w.groups) / 2 {
			g := w.groups[rapid.IntRange(0, len(w.groups)-1).Draw(t, "group")]
			if rapid.Bool().Draw(t, "learns") {
				g.doc = w.doc
			}
			g.step()
			if rapid.Bool().Draw(t, "reports") {
				w.reports[g.id] = g.report()
			}
		}
		w.intervene(t)
		if next := ring.Advance(w.doc, w.reports); next != nil {
			w.publish(t, next)
		}
		if i%4 == 3 { // nothing is late for ever
			for _, g := range w.groups {
				g.doc = w.doc
				g.step()
				w.reports[g.id] = g.report()
			}
		}
	}
}

// intervene is the operator, now and then.
func (w *world) intervene(t *rapid.T) {
	var next *ring.Document
	var err error
	switch k := rapid.IntRange(0, 40).Draw(t, "operator"); {
	case w.doc.Change.Paused:
		next, err = w.doc.Resume()
	case k == 0:
		next, err = w.doc.Pause()
	case k == 1:
		next, err = w.doc.Cancel()
	case k == 2:
		next, err = w.doc.Throttle(1 << 20)
	default:
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	w.publish(t, next)
}

func begin(t rapid.TB, d *ring.Document, m []ring.Member) *ring.Document {
	t.Helper()
	pl, err := ring.MakePlan(d, m, ring.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	next, err := pl.Begin(d, m, "change", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// TestAdvanceEnds: any change ends, and on its way no table says what a group
// has not reached, no majority is replaced at once, and nobody who still votes
// is thrown out.
func TestAdvanceEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := func(i int) string { return []string{"", "a", "b", "c"}[i] }
		zoned := rapid.Bool().Draw(t, "zoned")
		n := rapid.IntRange(3, 6).Draw(t, "members")
		d := mustNew(t, members(n, func(i int, m *ring.Member) {
			if zoned {
				m.Zone = zone(1 + i%3)
			}
		}), ring.Options{Partitions: 23})
		w := newWorld(d)
		for change := range rapid.IntRange(1, 3).Draw(t, "changes") {
			m := slices.Clone(w.doc.Members)
			for i := range m {
				if usable(m) > 3 && rapid.IntRange(0, 3).Draw(t, "leaves") == 0 {
					m[i].State = ring.Leaving
				}
				if rapid.IntRange(0, 5).Draw(t, "weighs") == 0 {
					m[i].Weight = rapid.IntRange(0, 3).Draw(t, "weight")
				}
			}
			for j := range rapid.IntRange(0, 3).Draw(t, "joins") {
				m = w.doc.NewMember(m, ring.Member{
					JID:   fmt.Sprintf("new%d-%d@localhost/store", change, j),
					Store: fmt.Sprintf("00000000-0000-4000-9000-%06x%06x", change, j),
				})
			}
			last := w.doc.NextID()
			w.publish(t, begin(t, w.doc, m))
			w.run(t)
			if w.doc.NextID() < last {
				t.Fatalf("id %d would be given again", w.doc.NextID())
			}
			for _, x := range w.doc.Members {
				if x.State != ring.Active {
					t.Fatalf("member %d is %s after the end", x.ID, x.State)
				}
			}
		}
	})
}

func usable(m []ring.Member) int {
	n := 0
	for _, x := range m {
		if x.State != ring.Leaving {
			n++
		}
	}
	return n
}

// follow runs a change to its end with groups that do everything at once.
func follow(t rapid.TB, d *ring.Document) *ring.Document {
	t.Helper()
	w := newWorld(d)
	for range 100 {
		for _, g := range w.groups {
			g.doc = w.doc
			for range 4 {
				g.step()
			}
			w.reports[g.id] = g.report()
		}
		next := ring.Advance(w.doc, w.reports)
		if next == nil {
			t.Fatalf("stands still: %+v", w.doc.Change)
		}
		w.publish(t, next)
		if next.Change == nil {
			return next
		}
	}
	t.Fatal("no end")
	return nil
}

// TestGrowShrink: 3 to 5 to 4, even and with leaders in order each time.
func TestGrowShrink(t *testing.T) {
	d := mustNew(t, members(3, nil), ring.Options{})
	m := members(5, func(i int, m *ring.Member) {
		if i > 2 {
			m.State = ring.Joining
		}
	})
	pl, err := ring.MakePlan(d, m, ring.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d = follow(t, begin(t, d, m))
	checkEven(t, d.Table, d.Members, 3)
	if last := pl.Rounds[len(pl.Rounds)-1].Target; !slices.EqualFunc(d.Table, last, slices.Equal) {
		t.Error("the change came to another table than its plan")
	}
	m = slices.Clone(d.Members)
	m[1].State = ring.Leaving
	d = follow(t, begin(t, d, m))
	checkEven(t, d.Table, d.Members, 3)
	if len(d.Members) != 4 || d.LastID != 5 || len(d.Meta) != 3 {
		t.Errorf("%d members, last id %d, meta %v", len(d.Members), d.LastID, d.Meta)
	}
}

// TestReplicasFollowMembers: a cluster that begins with one member has three copies
// as soon as it can, and fewer when it has to, one replica of a row at a time.
func TestReplicasFollowMembers(t *testing.T) {
	d := mustNew(t, members(1, nil), ring.Options{Partitions: 16})
	for i, n := range []int{2, 3, 5, 4, 3, 2, 1, 3, 1, 2, 5, 1} {
		var m []ring.Member
		for j, old := range d.Members {
			if len(d.Members)-j > n { // the first ones go
				old.State = ring.Leaving
			}
			m = append(m, old)
		}
		for j := len(d.Members); j < n; j++ {
			id := 100*i + j
			m = d.NewMember(m, ring.Member{JID: fmt.Sprintf("x%d@d/store", id), Store: fmt.Sprintf("00000000-0000-4000-9000-%012d", id)})
		}
		from := *d
		from.Replicas = min(3, n)
		d = follow(t, begin(t, &from, m))
		checkEven(t, d.Table, d.Members, min(3, n))
		if len(d.Members) != n || d.Replicas != min(3, n) {
			t.Fatalf("%d members with %d replicas, want %d", len(d.Members), d.Replicas, n)
		}
	}
}

// TestLostDisk: the successor has the JID of the member that is gone.
func TestLostDisk(t *testing.T) {
	d := mustNew(t, members(3, nil), ring.Options{Partitions: 16})
	m := slices.Clone(d.Members)
	m[2].State = ring.Leaving
	m = d.NewMember(m, ring.Member{JID: m[2].JID, Store: "00000000-0000-4000-9000-000000000009"})
	running := begin(t, d, m)
	if got, _ := running.ByJID(m[2].JID); got.ID != 4 {
		t.Errorf("the JID is that of member %d, want the successor", got.ID)
	}
	done := follow(t, running)
	if len(done.Members) != 3 || done.Members[2].ID != 4 || done.Members[2].State != ring.Active {
		t.Errorf("%+v", done.Members)
	}
	// Called off half-way the successor that holds something stays, and so does
	// the one that it follows, to leave with the next change.
	half := running.Next()
	half.Table[0] = running.Change.Target[0]
	off, err := half.Cancel()
	if err != nil {
		t.Fatal(err)
	}
	off = follow(t, off)
	if len(off.Members) != 4 || off.Members[2].State != ring.Leaving || off.Members[3].State != ring.Active {
		t.Errorf("%+v", off.Members)
	}
	follow(t, begin(t, off, off.Members))
	// Two at once with one JID are refused.
	off.Members[2].State = ring.Active
	if err := off.Validate(); err == nil {
		t.Error("two members with one JID were accepted")
	}
}

// TestGoal: what a group should have, in each state of a change.
func TestGoal(t *testing.T) {
	d := mustNew(t, members(3, nil), ring.Options{Partitions: 8})
	running := begin(t, d, d.NewMember(slices.Clone(d.Members), ring.Member{JID: "n@localhost/store", Store: cluster}))
	p := uint32(slices.IndexFunc(running.Change.Target, func(row []uint64) bool { return slices.Contains(row, 4) }))
	if g := running.Goal(p); !slices.Contains(g, 4) {
		t.Errorf("running: %v", g)
	}
	paused, err := running.Pause()
	if err != nil {
		t.Fatal(err)
	}
	if g := paused.Goal(p); slices.Contains(g, 4) {
		t.Errorf("paused: %v", g)
	}
	resumed, err := paused.Resume()
	if err != nil {
		t.Fatal(err)
	}
	if g := resumed.Goal(p); !slices.Contains(g, 4) || resumed.Change.Since != resumed.Epoch {
		t.Errorf("resumed: %v, since %d", g, resumed.Change.Since)
	}
	if d.Goal(8) != nil || running.Goal(8) != nil || !slices.Equal(running.Goal(ring.MetaPartition), running.Change.Meta) {
		t.Error("goal of what is no partition, or of the meta group")
	}
	if _, err := d.Pause(); err == nil {
		t.Error("paused without a change")
	}
	pl, _ := ring.MakePlan(running, running.Members, ring.PlanOptions{})
	if _, err := pl.Begin(running, running.Members, "second", 0, 0); err == nil {
		t.Error("a second change was begun")
	}
}
