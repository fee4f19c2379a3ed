package state

import (
	"encoding/binary"
	"fmt"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// follow reads all changes behind a position, page by page, as a client does.
func follow(t *testing.T, p *Partition, r op.Read) (events []op.Event) {
	t.Helper()
	r.Kind = op.Changes
	for pages := 0; ; pages++ {
		res := p.Read(&r)
		if res.Code != op.OK || pages > 1000 {
			t.Fatalf("page %d: %+v", pages, res)
		}
		events = append(events, res.Events...)
		behind := 0
		for _, e := range res.Events {
			if e.Position > res.Position {
				behind++
			}
		}
		if res.Position == r.Since && r.Skip > 0 {
			r.Skip += behind
		} else {
			r.Skip = behind
		}
		r.Since, r.ByRevision = res.Position, false
		if !res.More {
			return events
		}
	}
}

// TestChangesOfLargeBatches: pages have whole entries, and one that is larger than
// a page comes in pieces; nothing is missing and nothing comes twice.
func TestChangesOfLargeBatches(t *testing.T) {
	f := newFeed(t, Options{MaxReadBytes: 60})
	s := f.open()
	want := 0
	for i, n := range []int{1, 3, 40, 2, 1, 9, 1} {
		var muts []op.Mutation
		for k := range n {
			muts = append(muts, op.Mutation{Kind: op.Put, Path: fmt.Sprintf("%d/%03d", i, k), Value: []byte("value")})
		}
		f.write(s, uint64(i+1), muts...)
		want += n
		if i == 3 {
			if err := f.p.store.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range []op.Read{{}, {Limit: 2}, {Root: "root", ByRevision: true}, {Values: true}} {
		got := follow(t, f.p, r)
		seen := map[string]bool{}
		for _, e := range got {
			seen[e.Path] = true
		}
		if len(got) != want || len(seen) != want {
			t.Errorf("%+v: %d events of %d objects, want %d", r, len(got), len(seen), want)
		}
	}
}

// TestHistoryBeginsAtTheBeginning: entries of elections, before the first command
// and after it, are behind no floor.
func TestHistoryBeginsAtTheBeginning(t *testing.T) {
	f := newFeed(t, Options{})
	f.now = 1_700_000_000_000
	f.apply(nil)
	f.apply(nil)
	read := func(since uint64) op.ReadResult {
		return f.p.Read(&op.Read{Kind: op.Changes, Since: since})
	}
	if res := read(1); res.Code != op.OK || res.Position != 2 {
		t.Errorf("before anything happened: %+v", res)
	}
	s := f.open()
	if res := f.put(s, 1, 1, "p", "v"); res.Code != op.OK {
		t.Fatal(res)
	}
	for _, since := range []uint64{0, 1, 2, 3} {
		if res := read(since); res.Code != op.OK || len(res.Events) != 1 {
			t.Errorf("behind %d: %+v", since, res)
		}
	}
}

// TestCompacted: behind the floor there is an error of its own, not a gap.
func TestCompacted(t *testing.T) {
	f := newFeed(t, Options{HistoryEntries: 10})
	s := f.open()
	for i := range uint64(30) {
		f.put(s, i+1, 1, "a", "v")
	}
	floor := f.p.history.floor
	if floor == 0 {
		t.Fatal("nothing was dropped")
	}
	for _, c := range []struct {
		r    op.Read
		code op.Code
	}{
		{op.Read{Since: floor - 1}, op.Compacted},
		{op.Read{Since: floor}, op.OK},
		{op.Read{Since: floor + 100}, op.OK},
		{op.Read{Root: "root", ByRevision: true, SinceRevision: floor - 2}, op.Compacted},
		{op.Read{Root: "root", ByRevision: true, SinceRevision: floor - 1}, op.OK},
		{op.Read{Root: "root", ByRevision: true, SinceRevision: 30}, op.OK},
		{op.Read{Root: "other", ByRevision: true}, op.OK},
	} {
		c.r.Kind = op.Changes
		if got := f.p.Read(&c.r); got.Code != c.code || got.Position < c.r.Since {
			t.Errorf("%+v: %+v, want code %d", c.r, got, c.code)
		}
	}
}

// TestFileOfFormat1: it is taken over; what has no history yet says so.
func TestFileOfFormat1(t *testing.T) {
	s := testStore(t, Options{})
	f := &feed{t: t, p: testPart(t, s, 3), now: 1_700_000_000_000}
	session := f.open()
	f.put(session, 1, 1, "a", "v")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{historyBucket, machineBucket} {
			if err := tx.Bucket(f.p.key).DeleteBucket(bucket); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(formatKey, binary.BigEndian.AppendUint32(nil, 1))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenStore(s.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	f.p = testPart(t, again, 3)
	if r := f.p.Read(&op.Read{Kind: op.Changes}); r.Code != op.Compacted {
		t.Errorf("changes of before: %+v", r)
	}
	at, _ := f.p.Applied()
	f.put(session, 2, 1, "a", "w")
	if r := f.p.Read(&op.Read{Kind: op.Changes, Since: at}); r.Code != op.OK || len(r.Events) != 1 {
		t.Errorf("changes since: %+v", r)
	}
	var format []byte
	if err := again.db.View(func(tx *bbolt.Tx) error {
		format = append(format, tx.Bucket(metaBucket).Get(formatKey)...)
		return nil
	}); err != nil || binary.BigEndian.Uint32(format) != storeFormat {
		t.Errorf("format %x, %v", format, err)
	}
}

// TestChangesWithinEntry: behind a revision in the midst of an entry pages go on by
// revision: what the reader had before is not counted, nor told again.
func TestChangesWithinEntry(t *testing.T) {
	f := newFeed(t, Options{MaxReadBytes: 20})
	s := f.open()
	f.write(s, 1, op.Mutation{Kind: op.Put, Path: "a", TTL: 100}, op.Mutation{Kind: op.Put, Path: "b", TTL: 100})
	f.now = 100
	f.write(s, 2, op.Mutation{Kind: op.Put, Path: "c"}, op.Mutation{Kind: op.Put, Path: "d"}, op.Mutation{Kind: op.Put, Path: "e"}, op.Mutation{Kind: op.Put, Path: "f"})
	const all = "a2 b3 c4 d4 e4 f4 "
	for from, want := range map[uint64]string{1: all, 2: all[3:], 3: all[6:]} {
		got := ""
		for r := (op.Read{Kind: op.Changes, Root: "root", ByRevision: true, SinceRevision: from}); ; {
			res := f.p.Read(&r)
			if res.Code != op.OK || len(got) > len(all) {
				t.Fatalf("%+v: %+v", r, res)
			}
			for _, e := range res.Events {
				if got += fmt.Sprint(e.Path, e.Revision, " "); e.Revision != r.SinceRevision+1 {
					r.SinceRevision, r.Skip = e.Revision-1, 0
				}
				r.Skip++
			}
			if !res.More {
				break
			}
		}
		if got != want {
			t.Errorf("behind revision %d: %q, want %q", from, got, want)
		}
	}
}
