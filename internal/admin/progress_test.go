package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// growing is a ring of three in which a fourth joins, and the presence of all.
func growing(t *testing.T) (*ring.Document, []NodeView) {
	t.Helper()
	var m []ring.Member
	for i := range 4 {
		m = append(m, ring.Member{JID: fmt.Sprintf("dn%d@d/store", i+1), Store: fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)})
	}
	d, err := ring.New(m[:3], ring.Options{Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Partitions: 8})
	if err != nil {
		t.Fatal(err)
	}
	with := d.NewMember(slices.Clone(d.Members), m[3])
	pl, err := ring.MakePlan(d, with, ring.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d, err = pl.Begin(d, with, "join", 0, 1000); err != nil {
		t.Fatal(err)
	}
	var views []NodeView
	for _, x := range d.Members {
		views = append(views, NodeView{JID: x.JID, Online: true, Health: wire.Health{State: wire.StateOK}})
	}
	return d, views
}

func TestProgress(t *testing.T) {
	d, views := growing(t)
	if p := progressOf(d, views, &Leaders{}, 1<<20, time.UnixMilli(3000)); p.Moves != 6 || p.Done != 0 || p.Bytes != 6<<20 || p.Nodes[3].Gets != 6 || p.Stalled() {
		t.Errorf("at the beginning: %+v", p)
	}
	moved := 0
	for q, row := range d.Change.Target {
		if slices.Contains(row, 4) && moved < 2 {
			d.Table[q] = row
			moved++
		}
	}
	p := progressOf(d, views, &Leaders{}, 1<<20, time.UnixMilli(3000))
	if p.Done != 2 || p.BytesDone != 2<<20 || p.Rate != 1<<20 || p.LeftS != 4 || p.Nodes[3].Holds != 2 || p.Nodes[3].Gets != 4 {
		t.Errorf("after two of six in two seconds: %+v", p)
	}
	p.Stalls = []string{"dn4 is down"}
	if p.SetRate(1 << 20); p.Rate != 0 || p.LeftS != 0 {
		t.Errorf("a rate and time left of what stands still: %+v", p)
	}
	p = progressOf(d, views, &Leaders{}, 1<<20, time.UnixMilli(3000))
	p.Passing = []string{"1 partition: dn4 is not up"}
	if p.Settle(); p.Rate != 0 || p.LeftS != 0 {
		t.Errorf("a rate and time left of what has come to stand still: %+v", p)
	}
	paused, err := d.Pause()
	if err != nil {
		t.Fatal(err)
	}
	if p := progressOf(paused, views, &Leaders{}, 1<<20, time.UnixMilli(3000)); !p.Stalled() || p.Rate != 0 || p.LeftS != 0 {
		t.Errorf("a rate and time left while paused: %+v", p)
	}
	canceled, err := d.Cancel()
	if err != nil {
		t.Fatal(err)
	}
	if p := progressOf(canceled, views, &Leaders{}, 1<<20, time.UnixMilli(3000)); p.Moves != 2 || p.Done != 2 || p.Bytes != 2<<20 {
		t.Errorf("called off after two of six: %+v", p)
	}
	d.Change = nil
	if p := progressOf(d, views, &Leaders{}, 0, time.Now()); p.Running || p.Stalled() || len(p.Nodes) != 0 || p.Uneven != 4 {
		t.Errorf("without a change, called off after two of six: %+v", p)
	}
}

// TestSilentMajority: who does not answer elects nobody, whatever its presence says.
func TestSilentMajority(t *testing.T) {
	d, v := growing(t)
	v[1].Online = false
	p := progressOf(d, v, &Leaders{Silent: []string{"dn3@d/store"}, Leaderless: []uint32{0, 5}}, 0, time.Now())
	if want := "2 partitions without a majority that answers: look after dn2, dn3"; !slices.Contains(p.Passing, want) || len(p.Passing) != 1 {
		t.Errorf("%q", p.Passing)
	}
}

// TestTornMajority: a partition that is between its old and its new replicas has no leader without a majority of both.
func TestTornMajority(t *testing.T) {
	d, v := growing(t)
	var torn, whole uint32
	for p, row := range d.Change.Target {
		if slices.Contains(row, 4) && slices.Contains(row, 2) {
			torn = uint32(p)
		} else if !slices.Contains(row, 4) {
			whole = uint32(p)
		}
	}
	v[1].Online = false
	p := progressOf(d, v, &Leaders{Silent: []string{"dn4@d/store"}, Leaderless: []uint32{torn, whole}}, 0, time.Now())
	want := []string{
		"1 partition without a majority that answers among the replicas that they are to have: look after dn2, dn4",
		"1 partition without a leader: most of their nodes are there and are electing",
	}
	if !slices.Equal(p.Passing, want) {
		t.Errorf("%q", p.Passing)
	}
}

// TestStalls: each reason is told, with what to do about it.
func TestStalls(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*ring.Document, []NodeView, *Leaders)
		want string
	}{
		"paused": {func(d *ring.Document, _ []NodeView, _ *Leaders) { d.Change.Paused = true }, "paused; `ringctl resume` lets it go on"},
		"down":   {func(_ *ring.Document, v []NodeView, _ *Leaders) { v[3].Online = false }, "dn4 is down, and 6 replicas are to go there: start it, or `ringctl cancel`"},
		"full":   {func(_ *ring.Document, v []NodeView, _ *Leaders) { v[3].Health.State = wire.StateFull }, "dn4 has no room for the 6 replicas that are to go there: free space on its disk"},
		"stranger": {func(_ *ring.Document, v []NodeView, _ *Leaders) {
			v[0].Health.State, v[0].Text = wire.StateStranger, "another disk"
		}, "dn1 is a stranger: another disk"},
		"left, and quicker than the ring we have": {func(d *ring.Document, v []NodeView, _ *Leaders) {
			leave(d)
			v[0].Health.State, v[0].Text = wire.StateStranger, "has left"
		}, ""},
		"leaves with another disk": {func(d *ring.Document, v []NodeView, _ *Leaders) {
			d.Members[0].State = ring.Leaving
			v[0].Health.State, v[0].Text = wire.StateStranger, "another disk"
		}, "dn1 is a stranger: another disk"},
		"silent": {func(_ *ring.Document, _ []NodeView, l *Leaders) { l.Silent = []string{"dn2@d/store"} }, "dn2 is online and does not answer"},
		"no majority": {func(_ *ring.Document, v []NodeView, l *Leaders) {
			v[1].Online, v[2].Online, l.Leaderless = false, false, []uint32{0, 5}
		}, "2 partitions without a majority: start dn2, dn3"},
		"electing": {func(_ *ring.Document, _ []NodeView, l *Leaders) { l.Leaderless = []uint32{3} }, "1 partition without a leader: most of their nodes are there and are electing"},
		"electing without one": {func(_ *ring.Document, v []NodeView, l *Leaders) {
			v[2].Online, l.Leaderless = false, []uint32{0, 5}
		}, "2 partitions without a leader: most of their nodes are there and are electing"},
		"new disk, not heard of the ring": {func(d *ring.Document, v []NodeView, _ *Leaders) {
			d.Members[0].State = ring.Joining
			v[0].Health.State, v[0].Text = wire.StateStranger, "another disk"
		}, "dn1 is a stranger: another disk"},
		"not up": {func(_ *ring.Document, _ []NodeView, l *Leaders) {
			l.Moving = []adminxml.Moving{{Group: 1, Waits: "member 4 is not up"}, {Group: 2, Waits: "member 4 is not up"}}
		}, "2 partitions: dn4 is not up"},
		"stuck": {func(_ *ring.Document, _ []NodeView, l *Leaders) {
			l.Moving = []adminxml.Moving{{Group: 1, Waits: "the learner stands still; it is put in anew"}, {Group: 2, Waits: "waits for its turn"}}
		}, "1 partition: the learner stands still; it is put in anew"},
		"outrun": {func(_ *ring.Document, _ []NodeView, l *Leaders) {
			l.Moving = []adminxml.Moving{{Group: 1, Waits: "member 4 takes snapshot 3: writes outrun the transfer and are slowed", Learners: []uint64{4}}}
		}, "1 partition: dn4 takes snapshot 3: writes outrun the transfer and are slowed"},
		"catching up": {func(_ *ring.Document, _ []NodeView, l *Leaders) {
			l.Moving = []adminxml.Moving{{Group: 1, Waits: "member 4 is catching up: 3 of 90", Learners: []uint64{4}}}
		}, ""},
	} {
		d, views := growing(t)
		l := &Leaders{}
		c.edit(d, views, l)
		p := progressOf(d, views, l, 0, time.Now())
		if passes := strings.HasPrefix(name, "electing") || strings.HasPrefix(name, "new disk") || name == "not up"; passes != (len(p.Passing) > 0) || passes && p.Stalled() {
			t.Errorf("%s: stalled at the first look: %q, passing %q", name, p.Stalls, p.Passing)
		}
		p.Settle()
		if got := strings.Join(p.Stalls, "\n"); got != c.want || p.Stalled() != (c.want != "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestResolve(t *testing.T) {
	known := []string{"dn1@a/store", "dn2@a/store", "dn2@b/store"}
	for _, c := range []struct {
		name, jid, why string
	}{
		{"dn1", "dn1@a/store", ""},
		{"dn7@c", "dn7@c/store", ""},
		{"dn7@c/other", "dn7@c/other", ""},
		{"dn2", "", "dn2@a/store or dn2@b/store"},
		{"dn9", "", "no data node dn9"},
	} {
		got, err := resolve(known, []string{c.name})
		switch {
		case c.why == "" && (err != nil || got[0] != c.jid):
			t.Errorf("%s: %v, %v", c.name, got, err)
		case c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
	}
	if _, err := resolve(known, []string{"dn1", "dn1@a"}); err == nil {
		t.Error("one node named twice was accepted")
	}
}

// leave has the first member leave, after the last of its replicas moved.
func leave(d *ring.Document) {
	d.Members[0].State = ring.Leaving
	for q, row := range d.Table {
		d.Table[q] = slices.DeleteFunc(slices.Clone(row), func(id uint64) bool { return id == d.Members[0].ID })
	}
}

// TestProgressCountsCopiesUnderWay: what is sent of a large copy counts before it is
// complete, and never for more than there is to copy.
func TestProgressCountsCopiesUnderWay(t *testing.T) {
	if bad := copiesUnderWay(t, faults{}); bad != "" {
		t.Error(bad)
	}
	for _, f := range []faults{{uncounted: true}, {uncapped: true}} {
		if copiesUnderWay(t, f) == "" {
			t.Errorf("the seeded fault %+v was not noticed", f)
		}
	}
}

func copiesUnderWay(t *testing.T, f faults) string {
	d, views := growing(t)
	l := &Leaders{Moving: []adminxml.Moving{{Group: 1, Copied: 300}, {Group: 2, Copied: 50}}, faults: f}
	none := progressOf(d, views, &Leaders{}, 1000, time.Now())
	if some := progressOf(d, views, l, 1000, time.Now()); some.BytesDone != none.BytesDone+350 || some.Done != none.Done {
		return fmt.Sprintf("%d bytes done, %d without the copies under way", some.BytesDone, none.BytesDone)
	}
	l.Moving[0].Copied = 1 << 40
	if most := progressOf(d, views, l, 1000, time.Now()); most.BytesDone != most.Bytes {
		return fmt.Sprintf("%d of %d bytes done", most.BytesDone, most.Bytes)
	}
	return ""
}
