package ring_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
	"pgregory.net/rapid"
)

const cluster = "6f1a2b3c-0000-4000-8000-000000000001"

func members(n int, edit func(i int, m *ring.Member)) []ring.Member {
	out := make([]ring.Member, n)
	for i := range out {
		out[i] = ring.Member{
			ID: uint64(i + 1), JID: fmt.Sprintf("dn%d@localhost/store", i+1),
			Store: fmt.Sprintf("00000000-0000-4000-8000-%012x", i+1), State: ring.Active,
		}
		if edit != nil {
			edit(i, &out[i])
		}
	}
	return out
}

func mustNew(t rapid.TB, m []ring.Member, o ring.Options) *ring.Document {
	t.Helper()
	o.Cluster = cluster
	d, err := ring.New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestPartitionIsStable holds figures that clients in other languages compute
// too (docs/protocol.md): they can never change.
func TestPartitionIsStable(t *testing.T) {
	d := &ring.Document{Partitions: 271}
	for _, c := range []struct {
		root string
		hash uint64
		want uint32
	}{
		{"", 0xef46db3751d8e999, 171},
		{"a", 0xd24ec4f1a98c6e5b, 122},
		{"net/http", 0xd7dbbf6736fb100e, 99},
		{"grüße", 0xf6b705a592c4dcda, 13},
	} {
		if h := ring.Hash(c.root); h != c.hash {
			t.Errorf("Hash(%q) = %#x, want %#x", c.root, h, c.hash)
		}
		if p := d.Partition(c.root); p != c.want {
			t.Errorf("Partition(%q) = %d, want %d", c.root, p, c.want)
		}
	}
}

func TestLookups(t *testing.T) {
	d := mustNew(t, members(5, nil), ring.Options{})
	if d.Partitions != 271 || d.Replicas != 3 || d.Epoch != 1 || len(d.Meta) != 5 {
		t.Fatalf("defaults: %+v", d)
	}
	if m, ok := d.Member(4); !ok || m.JID != "dn4@localhost/store" {
		t.Fatalf("Member(4) = %v %v", m, ok)
	}
	if _, ok := d.Member(6); ok {
		t.Fatal("Member(6) exists")
	}
	if m, ok := d.ByJID("dn2@localhost/store"); !ok || m.ID != 2 {
		t.Fatalf("ByJID = %v %v", m, ok)
	}
	if _, ok := d.ByJID("dn2@localhost"); ok {
		t.Fatal("a bare JID was taken for a full one")
	}
	if r := d.ReplicasOf(7); len(r) != 3 || r[0].ID != d.Table[7][0] {
		t.Fatalf("ReplicasOf(7) = %v", r)
	}
	if r := d.ReplicasOf(ring.MetaPartition); len(r) != 5 {
		t.Fatalf("ReplicasOf(meta) = %v", r)
	}
	if d.ReplicasOf(271) != nil {
		t.Fatal("partition 271 of 271 has replicas")
	}
}

func TestMetaMembers(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 1, 3: 3, 4: 3, 5: 5, 9: 5} {
		if d := mustNew(t, members(n, nil), ring.Options{}); len(d.Meta) != want {
			t.Errorf("%d members: meta of %d, want %d", n, len(d.Meta), want)
		}
	}
	d := mustNew(t, members(9, func(i int, m *ring.Member) { m.Zone = string(rune('a' + i/3)) }), ring.Options{})
	zones := map[string]int{}
	for _, r := range d.ReplicasOf(ring.MetaPartition) {
		zones[r.Zone]++
	}
	for z, n := range zones {
		if n > 2 {
			t.Errorf("zone %s has %d of 5 meta members", z, n)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		m    []ring.Member
		o    ring.Options
		want string
	}{
		{"nobody", nil, ring.Options{Cluster: cluster}, "at least one"},
		{"too few members", members(2, nil), ring.Options{Cluster: cluster, Replicas: 3}, "add nodes"},
		{"too few partitions", members(5, nil), ring.Options{Cluster: cluster, Partitions: 4}, "too few"},
		{"too many partitions", members(5, nil), ring.Options{Cluster: cluster, Partitions: 1 << 20}, "too many"},
		{"no cluster", members(3, nil), ring.Options{}, "no UUID"},
		{"same store", members(3, func(_ int, m *ring.Member) { m.Store = cluster }), ring.Options{Cluster: cluster}, "was copied"},
		{"bare JID", members(3, func(_ int, m *ring.Member) { m.JID = strings.TrimSuffix(m.JID, "/store") }), ring.Options{Cluster: cluster}, "no full JID"},
	} {
		if _, err := ring.New(c.m, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// shares works out the even load by weight (no zones), as a second opinion.
func shares(m []ring.Member, copies, room float64) map[uint64]float64 {
	out := map[uint64]float64{}
	for range m {
		var w, fixed float64
		for _, x := range m {
			if out[x.ID] == room {
				fixed += room
			} else {
				w += float64(max(x.Weight, 1))
			}
		}
		for _, x := range m {
			if out[x.ID] != room {
				out[x.ID] = math.Min(room, (copies-fixed)*float64(max(x.Weight, 1))/w)
			}
		}
	}
	return out
}

func checkEven(t rapid.TB, table [][]uint64, m []ring.Member, replicas int) {
	t.Helper()
	load, leads := map[uint64]float64{}, map[uint64]float64{}
	for p, row := range table {
		if len(row) != replicas {
			t.Fatalf("partition %d has %d replicas, want %d", p, len(row), replicas)
		}
		leads[row[0]]++
		for i, id := range row {
			load[id]++
			for _, other := range row[:i] {
				if other == id {
					t.Fatalf("partition %d names %d twice", p, id)
				}
			}
		}
	}
	for id, s := range shares(m, float64(len(table)*replicas), float64(len(table))) {
		if l := load[id]; l > math.Max(s*1.05, math.Ceil(s-1e-9)) || l < math.Min(s*0.95, math.Floor(s+1e-9)) {
			t.Errorf("member %d holds %v replicas, even is %.1f", id, l, s)
		}
		ls := load[id] / float64(replicas)
		if l := leads[id]; l > math.Ceil(ls-1e-9) || l < math.Floor(ls+1e-9) {
			t.Errorf("member %d leads %v, even is %.1f", id, l, ls)
		}
	}
}

func TestNewIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "members")
		replicas := rapid.IntRange(1, min(n, 5)).Draw(t, "replicas")
		partitions := rapid.IntRange(n, 300).Draw(t, "partitions")
		weighted := rapid.Bool().Draw(t, "weighted")
		m := members(n, func(i int, m *ring.Member) {
			if weighted {
				m.Weight = rapid.IntRange(0, 4).Draw(t, "weight")
			}
		})
		d := mustNew(t, m, ring.Options{Partitions: partitions, Replicas: replicas})
		checkEven(t, d.Table, m, replicas)
		again := mustNew(t, m, ring.Options{Partitions: partitions, Replicas: replicas})
		a, _ := ring.Encode(d)
		b, _ := ring.Encode(again)
		if string(a) != string(b) {
			t.Fatal("the same members gave two tables")
		}
	})
}

// worstZone counts the most replicas of a partition in one zone.
func worstZone(d *ring.Document, table [][]uint64) int {
	worst := 0
	for _, row := range table {
		zones := map[string]int{}
		for _, id := range row {
			m, _ := d.Member(id)
			zones[m.Zone]++
			worst = max(worst, zones[m.Zone])
		}
	}
	return worst
}

func TestZonesAreSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.IntRange(1, 4).Draw(t, "zones")
		n := rapid.IntRange(max(3, z), 12).Draw(t, "members")
		sizes := map[string]int{}
		m := members(n, func(i int, m *ring.Member) {
			zone := i % z // every zone has one at least
			if i >= z {
				zone = rapid.IntRange(0, z-1).Draw(t, "zone")
			}
			m.Zone = fmt.Sprintf("z%d", zone)
			sizes[m.Zone]++
		})
		d := mustNew(t, m, ring.Options{Partitions: 64})
		want := 1
		for {
			places := 0
			for _, s := range sizes {
				places += min(s, want)
			}
			if places >= 3 {
				break
			}
			want++
		}
		if got := worstZone(d, d.Table); got > want {
			t.Fatalf("a partition has %d replicas in one zone, %d were enough: sizes %v", got, want, sizes)
		}
	})
}

// TestLibraryOwners shows that the library's owners mostly stay first.
func TestLibraryOwners(t *testing.T) {
	d := mustNew(t, members(5, nil), ring.Options{})
	kept := 0
	for p, o := range ring.Owners(271, d.Members) {
		if d.Table[p][0] == o {
			kept++
		}
	}
	t.Logf("%d of 271 owners of the library lead", kept)
	if kept < 230 {
		t.Errorf("only %d of 271 owners of the library lead", kept)
	}
}
