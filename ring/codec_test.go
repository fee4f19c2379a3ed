package ring_test

import (
	"errors"
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
		"epoch":          {func(d *ring.Document) { d.Epoch = 0 }, "epoch"},
		"cluster":        {func(d *ring.Document) { d.Cluster = "x" }, "cluster"},
		"meta even":      {func(d *ring.Document) { d.Meta = d.Meta[:2] }, "meta"},
		"meta twice":     {func(d *ring.Document) { d.Meta = []uint64{1, 1, 2} }, "twice"},
		"stranger":       {func(d *ring.Document) { d.Table[1] = []uint64{1, 2, 9} }, "partition 1: 9 is no member"},
		"short table":    {func(d *ring.Document) { d.Table = d.Table[:3] }, "3 rows"},
		"empty row":      {func(d *ring.Document) { d.Table[0] = nil }, "0 replicas"},
		"member order":   {func(d *ring.Document) { d.Members[0], d.Members[1] = d.Members[1], d.Members[0] }, "ascend"},
		"state":          {func(d *ring.Document) { d.Members[0].State = "odd" }, "state"},
		"weight":         {func(d *ring.Document) { d.Members[0].Weight = -1 }, "weight"},
		"control":        {func(d *ring.Document) { d.Members[0].Zone = "a\nb" }, "zone"},
		"change":         {func(d *ring.Document) { d.Change = &ring.Change{ID: "x"} }, "target"},
		"change unnamed": {func(d *ring.Document) { d.Change = &ring.Change{Target: d.Table} }, "change id"},
	} {
		d := mustNew(t, members(3, nil), ring.Options{Partitions: 5})
		c.edit(d)
		if _, err := ring.Encode(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
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
