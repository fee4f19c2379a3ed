package state

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// testFrame is a size of frames that makes several of each table.
const testFrame = 4 << 10

// fillPartition gives a partition objects, deleted ones, a session with answers.
func fillPartition(tb testing.TB, p *Partition) {
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
		p.Apply(i+2, 1, EncodeWrite(nil, int64(i), app, w))
		if i == 200 {
			if err := p.store.Flush(); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// picture takes a picture that the test closes.
func picture(tb testing.TB, p *Partition) *Picture {
	tb.Helper()
	v, err := p.Picture(testFrame)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	return v
}

// framesOf makes all frames of a picture.
func framesOf(tb testing.TB, v *Picture) [][]byte {
	tb.Helper()
	var all [][]byte
	for n := 0; ; n++ {
		frame, last, err := v.Frame(n)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, frame)
		if last {
			return all
		}
	}
}

// stage collects frames until the end or an error.
func stage(p *Partition, name string, frames [][]byte) error {
	s, err := p.Stage([]byte(name))
	if err != nil {
		return err
	}
	for s.Next() < len(frames) && !s.Done() {
		if err := s.Add(frames[s.Next()]); err != nil {
			return err
		}
	}
	return nil
}

// copyState brings the state of one partition into another, frame by frame.
func copyState(from, to *Partition) error {
	v, err := from.Picture(testFrame)
	if err != nil {
		return err
	}
	defer v.Close()
	name := []byte("copy")
	s, err := to.Stage(name)
	if err != nil {
		return err
	}
	for !s.Done() {
		frame, _, err := v.Frame(s.Next())
		if err == nil {
			err = s.Add(frame)
		}
		if err != nil {
			return err
		}
	}
	index, term, conf := v.Position()
	return to.Restore(name, index, term, conf)
}

func sweepAll(tb testing.TB, s *Store) {
	tb.Helper()
	for {
		more, err := s.Sweep()
		if err != nil {
			tb.Fatal(err)
		}
		if !more {
			return
		}
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	s := testStore(t, Options{})
	a := testPart(t, s, 3)
	fillPartition(t, a)
	a.SetConf(302, 1, []byte("conf"))
	other := testStore(t, Options{})
	b := testPart(t, other, 3)
	// What was there before goes, flushed or not.
	f := &feed{t: t, p: b}
	f.put(f.open(), 1, 1, "old", "old")
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	f.put(1, 2, 1, "older", "old")
	if err := copyState(a, b); err != nil {
		t.Fatal(err)
	}
	if a.Digest() != b.Digest() || b.Durable() != 302 || string(b.Conf()) != "conf" || other.Dirty() != 0 {
		t.Errorf("digests %x and %x, durable %d, dirty %d", a.Digest(), b.Digest(), b.Durable(), other.Dirty())
	}
	sweepAll(t, other)
	if err := other.view(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			if name[0] != 'm' && name[0] != 'p' {
				t.Errorf("bucket %q is left", name)
			}
			return nil
		})
	}); err != nil {
		t.Error(err)
	}
	// The dedupe table came along: the same answer, no second effect.
	cmd := EncodeWrite(nil, 0, app, &op.Write{Root: "root5", Session: 1, Seq: 6, Floor: 1, Mutations: []op.Mutation{{Kind: op.Put, Path: "5"}}})
	if ra, rb := a.Apply(303, 1, cmd), b.Apply(303, 1, cmd); rb.Code != op.OK || rb.Revision != 1 || ra.Revision != 1 {
		t.Errorf("repeated write: %+v and %+v", ra, rb)
	}
	mine, again := framesOf(t, picture(t, a)), framesOf(t, picture(t, b))
	for i := range mine {
		if !bytes.Equal(mine[i], again[i]) {
			t.Fatalf("frames %d of equal replicas differ", i)
		}
	}
}

// TestFramesAgain: a frame is the same each time, whatever is written meanwhile.
func TestFramesAgain(t *testing.T) {
	s := testStore(t, Options{})
	p := testPart(t, s, 3)
	fillPartition(t, p)
	v := picture(t, p)
	third, _, err := v.Frame(3)
	if err != nil {
		t.Fatal(err)
	}
	first := framesOf(t, v)
	if !bytes.Equal(third, first[3]) {
		t.Error("frame 3 is another when it is made first")
	}
	if frame, last, err := v.Frame(len(first)); frame != nil || !last || err != nil {
		t.Errorf("behind the end: %d bytes, %v, %v", len(frame), last, err)
	}
	f := &feed{t: t, p: p, index: 301}
	for i := range uint64(50) {
		f.put(1, 301+i, 1, fmt.Sprint("new", i), "value")
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{len(first) - 1, 3, 4, 0, 2, 5} {
		again, last, err := v.Frame(n)
		if err != nil || !bytes.Equal(again, first[n]) || last != (n == len(first)-1) {
			t.Errorf("frame %d: %v, last %v, equal %v", n, err, last, bytes.Equal(again, first[n]))
		}
	}
}

// TestStagingResumes: what is durable of a staging survives a crash, and the
// state stays as it was until the swap.
func TestStagingResumes(t *testing.T) {
	a := testPart(t, testStore(t, Options{}), 3)
	fillPartition(t, a)
	v := picture(t, a)
	all := framesOf(t, v)
	path := t.TempDir() + "/state"
	open := func() (*Store, *Partition) {
		s, err := OpenStore(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, testPart(t, s, 3)
	}
	s, b := open()
	f := &feed{t: t, p: b}
	f.put(f.open(), 1, 1, "kept", "kept")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	old := b.Digest()
	for cut := range all {
		st, err := b.Stage([]byte("one"))
		if err != nil {
			t.Fatal(err)
		}
		if st.Next() != cut {
			t.Fatalf("after %d durable frames it goes on with frame %d", cut, st.Next())
		}
		if err := b.Restore([]byte("one"), 301, 1, nil); !errors.Is(err, ErrIncomplete) || b.Digest() != old {
			t.Fatalf("swap after %d frames: %v", cut, err)
		}
		if err := st.Add(all[cut]); err != nil {
			t.Fatal(err)
		}
		if err := st.Flush(); err != nil {
			t.Fatal(err)
		}
		if cut+1 < len(all) { // this one is lost
			if err := st.Add(all[cut+1]); err != nil {
				t.Fatal(err)
			}
		}
		s.Close() // a crash
		s, b = open()
		if b.Digest() != old {
			t.Fatalf("the state has changed after %d frames", cut)
		}
		if cut+2 >= len(all) {
			break // the last frame is written at once
		}
	}
	if err := b.Restore([]byte("one"), 301, 1, nil); err != nil || b.Digest() != a.Digest() {
		t.Fatalf("swap: %v", err)
	}
	s.Close()
	s, b = open()
	if b.Digest() != a.Digest() {
		t.Error("another state after the swap and a crash")
	}
	// Half of another one, then that one again: it begins anew.
	if err := stage(b, "two", all[:2]); err != nil {
		t.Fatal(err)
	}
	if st, err := b.Stage([]byte("three")); err != nil || st.Next() != 0 {
		t.Errorf("%v, frame %d", err, st.Next())
	}
	sweepAll(t, s)
}

// TestSnapshotDamaged: whatever is wrong with a frame, nothing changes.
func TestSnapshotDamaged(t *testing.T) {
	a := testPart(t, testStore(t, Options{}), 3)
	fillPartition(t, a)
	all := framesOf(t, picture(t, a))
	s := testStore(t, Options{NoSync: true})
	p := testPart(t, s, 3)
	f := &feed{t: t, p: p}
	f.put(f.open(), 1, 1, "kept", "kept")
	want := p.Digest()
	check := func(name string, err error) {
		t.Helper()
		if err == nil {
			err = p.Restore([]byte(name), 301, 1, nil)
		}
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrIncomplete) && !errors.Is(err, ErrNewerFormat) {
			t.Errorf("%s: %v", name, err)
		}
		if p.Digest() != want || s.Err() != nil {
			t.Fatalf("%s: the partition has changed or is dead: %v", name, s.Err())
		}
	}
	with := func(n int, frames ...[]byte) [][]byte {
		return append(append(append([][]byte(nil), all[:n]...), frames...), all[n+1:]...)
	}
	for n := range all {
		for at := 0; at < len(all[n]); at += 1 + len(all[n])/8 {
			bad := bytes.Clone(all[n])
			bad[at] ^= 0x10
			name := fmt.Sprintf("flipped byte %d of frame %d", at, n)
			check(name, stage(p, name, with(n, bad)))
		}
		check(fmt.Sprint("lost ", n), stage(p, fmt.Sprint("lost ", n), with(n)))
		if n+1 == len(all) {
			break // behind the end nothing is taken
		}
		check(fmt.Sprint("twice ", n), stage(p, fmt.Sprint("twice ", n), with(n, all[n], all[n])))
	}
	check("order", stage(p, "order", with(3, all[4], all[3])))
	check("cut", stage(p, "cut", all[:len(all)-1]))
	if err := stage(testPart(t, s, 4), "x", all); !errors.Is(err, ErrCorrupt) {
		t.Errorf("snapshot of another partition: %v", err)
	}
	if err := stage(p, "good", all); err != nil {
		t.Fatal(err)
	}
	check("good", p.Restore([]byte("other"), 301, 1, nil))
	check("good", p.Restore([]byte("good"), 302, 1, nil))
	check("good", p.Restore([]byte("good"), 301, 2, nil))
	if err := p.Restore([]byte("good"), 301, 1, nil); err != nil || p.Digest() != a.Digest() {
		t.Error(err)
	}
	// Raft may offer one from before a repair.
	if err := p.Restore([]byte("older"), 300, 1, nil); err != nil || p.Digest() != a.Digest() {
		t.Errorf("snapshot older than the state: %v", err)
	}
}

// TestStagingFaults: the checks above fail where a part is missing, or where the
// order of frames is not looked at.
func TestStagingFaults(t *testing.T) {
	a := testPart(t, testStore(t, Options{}), 3)
	fillPartition(t, a)
	all := framesOf(t, picture(t, a))
	half := testPart(t, testStore(t, Options{Faults: Faults{SwapIncomplete: true}}), 3)
	if err := stage(half, "x", all[:len(all)/2]); err != nil {
		t.Fatal(err)
	}
	st, err := half.Stage([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, frame := range all[:len(all)/2] {
		if err := st.Add(frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := half.Restore([]byte("x"), 301, 1, nil); err != nil || half.Digest() == a.Digest() {
		t.Errorf("half a snapshot: %v", err)
	}
	mixed := testPart(t, testStore(t, Options{Faults: Faults{FrameOrderIgnored: true}}), 3)
	wrong := append([][]byte(nil), all...)
	wrong[4] = wrong[3]
	if err := stage(mixed, "x", wrong); err != nil && strings.Contains(err.Error(), "checksum") {
		t.Errorf("frame in another's place: %v", err)
	}
}

// FuzzStage: no input makes Stage or Restore panic or half of it stay.
func FuzzStage(f *testing.F) {
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
	src.Apply(2, 1, EncodeWrite(nil, 1, app, &op.Write{Root: "r", Session: 1, Seq: 1, Mutations: []op.Mutation{{Kind: op.Put, Value: []byte("v")}}}))
	v, err := src.Picture(testFrame)
	if err != nil {
		f.Fatal(err)
	}
	all := framesOf(f, v)
	v.Close()
	for i, frame := range all {
		f.Add(uint8(i), frame)
	}
	f.Fuzz(func(t *testing.T, place uint8, frame []byte) {
		if len(frame) < frameHeader {
			return
		}
		frames := make([][]byte, len(all))
		sum := uint32(0)
		for i := range all { // with right checksums, so that what is behind them is reached
			frames[i] = bytes.Clone(all[i])
			if i == int(place)%len(all) {
				frames[i] = bytes.Clone(frame)
			}
			sum = sealFrame(frames[i], sum)
		}
		before := src.Digest()
		if err := src.DropStaging(); err != nil {
			t.Fatal(err)
		}
		err := stage(src, "fuzz", frames)
		if src.Digest() != before {
			t.Fatalf("a staging changed the state: %v", err)
		}
		if err == nil {
			err = src.Restore([]byte("fuzz"), 2, 1, nil)
		}
		if err != nil && src.Digest() != before {
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

// FuzzApply: no command makes Apply panic, and whatever it does survives a flush.
func FuzzApply(f *testing.F) {
	f.Add(EncodeOpen(nil, 5, "app@example.org"))
	f.Add(EncodeRing(nil, 5, 0, []byte("{}")))
	f.Add(EncodeWrite(nil, 5, app, &op.Write{Root: "r", Session: 1, Seq: 1, Floor: 1, Mutations: []op.Mutation{
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
