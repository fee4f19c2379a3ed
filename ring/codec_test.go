package ring_test

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

func TestEncodeDecode(t *testing.T) {
	d := mustNew(t, members(5, func(i int, m *ring.Member) { m.Zone = "käfig <" + string(rune('a'+i)) }), ring.Options{Partitions: 7})
	d.Change = &ring.Change{ID: "grow-1", Target: d.Table, Meta: d.Meta, Since: 1, Paused: true}
	b, err := ring.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ring.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(d, got) {
		t.Fatalf("got %+v, want %+v", got, d)
	}
}

// TestEveryFlippedByteIsNoticed: a document that decodes is the one encoded.
func TestEveryFlippedByteIsNoticed(t *testing.T) {
	b, err := ring.Encode(mustNew(t, members(3, nil), ring.Options{Partitions: 5}))
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		for _, mask := range []byte{1, 0x10, 0x80} {
			c := append([]byte(nil), b...)
			c[i] ^= mask
			if _, err := ring.Decode(c); err == nil {
				t.Fatalf("byte %d (%q) flipped by %#x went unnoticed", i, b[i], mask)
			}
		}
		if _, err := ring.Decode(b[:i]); err == nil {
			t.Fatalf("a document cut at %d was accepted", i)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	if _, err := ring.Decode([]byte(`{"version":3,"anything":{"new":1}}`)); !errors.Is(err, ring.ErrNewerFormat) || !strings.Contains(err.Error(), "upgrade") {
		t.Errorf("newer format: %v", err)
	}
	if _, err := ring.Decode([]byte(`{"version":1}`)); !errors.Is(err, ring.ErrCorrupt) {
		t.Errorf("no checksum: %v", err)
	}
	if _, err := ring.Decode(nil); !errors.Is(err, ring.ErrCorrupt) {
		t.Errorf("nothing: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(d *ring.Document)
		want string
	}{
		"epoch":        {func(d *ring.Document) { d.Epoch = 0 }, "epoch"},
		"cluster":      {func(d *ring.Document) { d.Cluster = "x" }, "cluster"},
		"meta even":    {func(d *ring.Document) { d.Meta = d.Meta[:2] }, "meta"},
		"meta twice":   {func(d *ring.Document) { d.Meta = []uint64{1, 1, 2} }, "twice"},
		"stranger":     {func(d *ring.Document) { d.Table[1] = []uint64{1, 2, 9} }, "partition 1: 9 is no member"},
		"short table":  {func(d *ring.Document) { d.Table = d.Table[:3] }, "3 rows"},
		"empty row":    {func(d *ring.Document) { d.Table[0] = nil }, "0 replicas"},
		"member order": {func(d *ring.Document) { d.Members[0], d.Members[1] = d.Members[1], d.Members[0] }, "ascend"},
		"state":        {func(d *ring.Document) { d.Members[0].State = "odd" }, "state"},
		"weight":       {func(d *ring.Document) { d.Members[0].Weight = -1 }, "weight"},
		"no XML in a field": {func(d *ring.Document) {
			d.Indexes = []ring.Index{{ID: 1, Name: "x", Field: "a\uffffb"}}
		}, "control"},
		"no XML in a prefix": {func(d *ring.Document) { d.Access = []ring.Grant{{Account: "a@b", Prefix: "a\ufffe"}} }, "control"},
		"control":            {func(d *ring.Document) { d.Members[0].Zone = "a\nb" }, "zone"},
		"change":             {func(d *ring.Document) { d.Change = &ring.Change{ID: "x"} }, "target"},
		"change unnamed":     {func(d *ring.Document) { d.Change = &ring.Change{Target: d.Table} }, "change id"},
		"change's meta":      {func(d *ring.Document) { d.Change = &ring.Change{ID: "x", Target: d.Table, Meta: []uint64{1, 9, 2}} }, "9 is no member"},
		"no change's meta":   {func(d *ring.Document) { d.Change = &ring.Change{ID: "x", Target: d.Table} }, "meta of 0"},
		"below nought":       {func(d *ring.Document) { d.Change = &ring.Change{ID: "x", Target: d.Table, Meta: d.Meta, Rate: -1} }, "below nought"},
		"since":              {func(d *ring.Document) { d.Change = &ring.Change{ID: "x", Target: d.Table, Meta: d.Meta, Since: 9} }, "of epoch 9"},
		"too few stay": {func(d *ring.Document) {
			d.Members[0].State = ring.Leaving
			d.Change = &ring.Change{ID: "x", Target: d.Table, Meta: d.Meta}
		}, "leaves 2 members for 3"},
		"last id":        {func(d *ring.Document) { d.LastID = 2 }, "last id 2"},
		"JID twice":      {func(d *ring.Document) { d.Members[0].JID = d.Members[1].JID }, "same JID"},
		"index twice":    {func(d *ring.Document) { d.Indexes = []ring.Index{index("a", 1), index("a", 1)} }, "two indexes"},
		"index id twice": {func(d *ring.Document) { d.Indexes = []ring.Index{index("a", 1), index("b", 1)} }, "used twice"},
		"index id":       {func(d *ring.Document) { d.Indexes = []ring.Index{index("a", 2)} }, "no epoch"},
		"index field":    {func(d *ring.Document) { d.Indexes = []ring.Index{{Name: "a", ID: 1}} }, "field"},
		"index prefix":   {func(d *ring.Document) { d.Indexes = []ring.Index{{Name: "a", ID: 1, Field: "f", Prefix: "\n"}} }, "prefix"},
		"grant to all":   {func(d *ring.Document) { d.Access = []ring.Grant{{Account: "a"}} }, "no bare JID"},
		"grant to full":  {func(d *ring.Document) { d.Access = []ring.Grant{{Account: "a@b/c"}} }, "no bare JID"},
		"grant twice":    {func(d *ring.Document) { d.Access = []ring.Grant{{Account: "a@b"}, {Account: "a@b", Write: true}} }, "two grants"},
	} {
		d := mustNew(t, members(3, nil), ring.Options{Partitions: 5})
		c.edit(d)
		if _, err := ring.Encode(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func index(name string, id uint32) ring.Index { return ring.Index{Name: name, ID: id, Field: "f"} }

// TestReadsFormat1: what the first version wrote is read, and written anew as of
// now when it is changed.
func TestReadsFormat1(t *testing.T) {
	b, err := os.ReadFile("testdata/format1.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := ring.Decode(b)
	if err != nil || d.Version != 1 || d.NextID() != 4 {
		t.Fatalf("%+v, %v", d, err)
	}
	next := d.Next()
	if next.Version != ring.FormatVersion || next.LastID != 3 || next.Epoch != 8 {
		t.Errorf("%+v", next)
	}
	again, err := ring.Encode(next)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Decode(again); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, n := range []int{1, 3, 5} {
		b, err := ring.Encode(mustNew(f, members(n, nil), ring.Options{Partitions: n + 2}))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	full := mustNew(f, members(4, nil), ring.Options{Partitions: 5})
	full.Change = &ring.Change{ID: "x", Target: full.Table, Meta: full.Meta, Since: 1, Rounds: 2, Rate: 3, Moves: 4, Begun: 5, Canceled: true}
	full.Indexes, full.Access = []ring.Index{index("a", 1)}, []ring.Grant{{Account: "@d", Prefix: "p/", Write: true}}
	b, err := ring.Encode(full)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"checksum":"0000000000000000"}`))
	f.Add([]byte(`{"version":99}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ring.Decode(b)
		if err != nil {
			return
		}
		again, err := ring.Encode(d)
		if err != nil {
			t.Fatalf("decoded but not encodable: %v", err)
		}
		if _, err := ring.Decode(again); err != nil {
			t.Fatalf("encoded but not decodable: %v", err)
		}
		for p := range uint32(d.Partitions) {
			if len(d.ReplicasOf(p)) == 0 {
				t.Fatalf("partition %d has no replicas", p)
			}
		}
	})
}
