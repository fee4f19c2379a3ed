package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// testSnapshot is of a partition with several frames of each kind.
func testSnapshot(tb testing.TB, p *Partition) (index uint64, data []byte) {
	tb.Helper()
	p.Apply(1, 1, EncodeOpen(nil, 1, "app@example.org"))
	for i := range uint64(300) {
		w := &op.Write{Root: fmt.Sprintf("root%d", i%40), Session: 1, Seq: i + 1, Floor: 1}
		w.Mutations = []op.Mutation{{
			Kind: op.Put, Path: fmt.Sprint(i), Value: bytes.Repeat([]byte{byte(i)}, int(i*5)),
			Refs: []op.Ref{{Root: "other", Path: "x"}},
		}}
		if i%7 == 0 {
			w.Mutations[0] = op.Mutation{Kind: op.Delete, Path: fmt.Sprint(i / 2)}
		}
		p.Apply(i+2, 1, EncodeWrite(nil, int64(i), w))
	}
	index, _, _, data, err := p.Snapshot()
	if err != nil {
		tb.Fatal(err)
	}
	return index, data
}

func TestSnapshotRoundTrip(t *testing.T) {
	s := testStore(t, Options{})
	a := testPart(t, s, 3)
	index, data := testSnapshot(t, a)
	other := testStore(t, Options{})
	b := testPart(t, other, 3)
	// What was there before goes, flushed or not.
	f := &feed{t: t, p: b}
	f.put(f.open(), 1, 1, "old", "old")
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	f.put(1, 2, 1, "older", "old")
	if err := b.Restore(index, 1, []byte("conf"), data); err != nil {
		t.Fatal(err)
	}
	if a.Digest() != b.Digest() || b.Durable() != index || string(b.Conf()) != "conf" || other.Dirty() != 0 {
		t.Errorf("digests %x and %x, durable %d, dirty %d", a.Digest(), b.Digest(), b.Durable(), other.Dirty())
	}
	// The dedupe table came along: the same answer, no second effect.
	cmd := EncodeWrite(nil, 0, &op.Write{Root: "root5", Session: 1, Seq: 6, Floor: 1, Mutations: []op.Mutation{{Kind: op.Put, Path: "5"}}})
	if ra, rb := a.Apply(index+1, 1, cmd), b.Apply(index+1, 1, cmd); rb.Code != op.OK || rb.Revision != 1 || ra.Revision != 1 {
		t.Errorf("repeated write: %+v and %+v", ra, rb)
	}
	_, _, _, again, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, mine, err := a.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	// All but the configuration in the head is equal byte by byte.
	if len(again)-len(mine) != len("conf") {
		t.Errorf("snapshots of equal replicas have %d and %d bytes", len(mine), len(again))
	}
}

// TestSnapshotDamaged: whatever is wrong with a snapshot, nothing changes.
func TestSnapshotDamaged(t *testing.T) {
	index, data := testSnapshot(t, testPart(t, testStore(t, Options{}), 3))
	s := testStore(t, Options{})
	p := testPart(t, s, 3)
	f := &feed{t: t, p: p}
	f.put(f.open(), 1, 1, "kept", "kept")
	want := p.Digest()
	check := func(name string, target, err error) {
		t.Helper()
		if !errors.Is(err, target) || target == nil && err == nil {
			t.Errorf("%s: %v", name, err)
		}
		if p.Digest() != want || s.Err() != nil {
			t.Fatalf("%s: the partition has changed or is dead: %v", name, s.Err())
		}
	}
	for at := 0; at < len(data); at += 1 + len(data)/300 {
		bad := bytes.Clone(data)
		bad[at] ^= 0x10
		if at >= 8 && at < 12 {
			check("version", ErrNewerFormat, p.Restore(index, 1, nil, bad))
			continue
		}
		check(fmt.Sprint("flipped byte ", at), ErrCorrupt, p.Restore(index, 1, nil, bad))
		check(fmt.Sprint("cut at ", at), ErrCorrupt, p.Restore(index, 1, nil, data[:at]))
	}
	check("other index", ErrCorrupt, p.Restore(index+1, 1, nil, data))
	check("other term", ErrCorrupt, p.Restore(index, 2, nil, data))
	newer := bytes.Clone(data)
	binary.LittleEndian.PutUint32(newer[8:], snapshotFormat+1)
	check("newer format", ErrNewerFormat, p.Restore(index, 1, nil, newer))
	// A frame taken out, with the checksums of the others as they were.
	second := 12 + int(binary.LittleEndian.Uint32(data[12:]))
	third := second + int(binary.LittleEndian.Uint32(data[second:]))
	check("missing frame", ErrCorrupt, p.Restore(index, 1, nil, append(bytes.Clone(data[:second]), data[third:]...)))
	if err := testPart(t, s, 4).Restore(index, 1, nil, data); !errors.Is(err, ErrCorrupt) {
		t.Errorf("snapshot of another partition: %v", err)
	}
	if err := p.Restore(1, 1, nil, data); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("snapshot older than the state: %v", err)
	}
}

// FuzzRestore: no input makes Restore panic or half of it stay.
func FuzzRestore(f *testing.F) {
	s, err := OpenStore(f.TempDir()+"/state", Options{NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	src, err := s.Partition(3)
	if err != nil {
		f.Fatal(err)
	}
	src.Apply(1, 1, EncodeOpen(nil, 1, "app@example.org"))
	src.Apply(2, 1, EncodeWrite(nil, 1, &op.Write{Root: "r", Session: 1, Seq: 1, Mutations: []op.Mutation{{Kind: op.Put, Value: []byte("v")}}}))
	index, _, _, data, err := src.Snapshot()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, false)
	f.Add(data[:len(data)-3], true)
	f.Fuzz(func(t *testing.T, data []byte, mend bool) {
		if mend {
			data = mendFrames(data)
		}
		before := src.Digest()
		if err := src.Restore(index, 1, nil, data); err != nil && src.Digest() != before {
			t.Fatalf("a refused snapshot changed the state: %v", err)
		}
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
		if src.Digest() == 0 {
			t.Fatal("an accepted snapshot can't be read")
		}
	})
}

// mendFrames makes the checksums right, so that what is behind them is reached.
func mendFrames(data []byte) []byte {
	out := bytes.Clone(data[:min(len(data), 12)])
	w := snapshotWriter{out: out}
	for off := 12; off+frameHeader <= len(data); {
		n := int(binary.LittleEndian.Uint32(data[off:]))
		if n < frameHeader || n > len(data)-off {
			break
		}
		w.frame(data[off+8], data[off+frameHeader:off+n])
		off += n
	}
	return w.out
}

// FuzzApply: no command makes Apply panic, and whatever it does survives a flush.
func FuzzApply(f *testing.F) {
	f.Add(EncodeOpen(nil, 5, "app@example.org"))
	f.Add(EncodeRing(nil, 5, 0, []byte("{}")))
	f.Add(EncodeWrite(nil, 5, &op.Write{Root: "r", Session: 1, Seq: 1, Floor: 1, Mutations: []op.Mutation{
		{Kind: op.Put, Path: "p", Value: []byte("v"), Refs: []op.Ref{{Root: "a", Path: "b"}}},
		{Kind: op.Delete, Path: "q", Cond: op.Condition{Kind: op.VersionIs, Version: 300}},
	}}))
	s, err := OpenStore(f.TempDir()+"/state", Options{NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	p, err := s.Partition(testPartition)
	if err != nil {
		f.Fatal(err)
	}
	index := uint64(1)
	p.Apply(index, 1, EncodeOpen(nil, 1, "app@example.org"))
	f.Fuzz(func(t *testing.T, cmd []byte) {
		index++
		if r := p.Apply(index, 1, cmd); r.Code == 0 || s.Err() != nil {
			t.Fatalf("%+v, %v", r, s.Err())
		}
		want := p.Digest()
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := p.Digest(); got != want || got == 0 {
			t.Fatalf("digest %x after the flush, %x before", got, want)
		}
	})
}
