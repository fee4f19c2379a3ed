package state

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// checks is a batch whose answer has that many items, one of them unlike the others.
func checks(n int) []op.Mutation {
	muts := []op.Mutation{{Kind: op.Put, Path: "new", Value: []byte("x")}}
	for i := 1; i < n; i++ {
		muts = append(muts, op.Mutation{Kind: op.Check, Path: fmt.Sprint("none", i)})
	}
	return muts
}

// TestAnswersOfOneOwner: batches without end leave no more answers behind than an owner may have; what was given up is
// unknown and never executed again, first in the session that was unused for longest. Another owner's stay.
func TestAnswersOfOneOwner(t *testing.T) {
	const batches, items, most = 20, 50, 400
	kept := func(faults Faults) int {
		f := newFeed(t, Options{MaxOwnerItems: most, Faults: faults})
		const neighbour = "other@example.org"
		other := f.apply(EncodeOpen(nil, 0, neighbour)).Session
		others := EncodeWrite(nil, 0, OwnerOf(neighbour), &op.Write{Root: "root", Session: other, Seq: 1, Floor: 1, Mutations: checks(items)})
		f.apply(others)
		old, used := f.open(), f.open()
		f.now = 5
		f.write(old, 1, checks(items)...)
		f.now = 6
		for seq := uint64(1); seq <= batches; seq++ {
			if r := f.write(used, seq, checks(items)...); r.Code != op.OK || len(r.Items) != items {
				t.Fatalf("batch %d: %v, %d items", seq, r.Code, len(r.Items))
			}
		}
		if r := f.apply(others); r.Code != op.OK || r.Revision != 1 {
			t.Errorf("the other owner's answer: %+v", r)
		}
		if faults == (Faults{}) {
			if r := f.write(old, 1, checks(items)...); r.Code != op.Unknown {
				t.Errorf("the answer of the session that was unused for longest: %+v", r)
			}
			if r := f.write(used, 1, checks(items)...); r.Code != op.Unknown {
				t.Errorf("an old answer: %+v", r)
			}
			if r := f.write(used, batches, checks(items)...); r.Code != op.OK || r.Revision != batches+2 {
				t.Errorf("the newest answer: %+v", r)
			}
		}
		return f.p.sessions.owners["app@example.org"].items
	}
	if n := kept(Faults{}); n > most {
		t.Errorf("%d items are kept, %d may be", n, most)
	}
	if n := kept(Faults{AnswersUnbounded: true}); n <= most {
		t.Errorf("planted mistake: %d items are kept", n)
	}
}

// TestAnswersAreFolded: an answer of items that are all alike costs as one, and is told, stored and read in full.
func TestAnswersAreFolded(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	var puts []op.Mutation
	for i := range 100 {
		puts = append(puts, op.Mutation{Kind: op.Put, Path: fmt.Sprint(i), Value: []byte("x")})
	}
	first := f.write(s, 1, puts...)
	if again := f.write(s, 1, puts...); len(first.Items) != 100 || !reflect.DeepEqual(first, again) {
		t.Errorf("%d items at first, then %d", len(first.Items), len(again.Items))
	}
	kept := f.p.sessions.byID[s]
	if kept.items != 4 {
		t.Errorf("%d items are counted", kept.items)
	}
	read, err := decodeSession(s, kept.append(nil))
	if err != nil || read.items != kept.items || !reflect.DeepEqual(read.results, kept.results) {
		t.Errorf("read back: %+v, %v", read, err)
	}
}

// TestIndexedByOneBatch: a batch that would make hundreds of megabytes of entries in an index is refused, the same again
// when it is asked for again; its parts are not, and what they made expires a part at a time.
func TestIndexedByOneBatch(t *testing.T) {
	const objects = 640
	name := strings.Repeat("n", op.MaxPath-8)
	value := numbered(0, maxValues)
	var puts []op.Mutation
	for i := range objects {
		puts = append(puts, op.Mutation{Kind: op.Put, Path: fmt.Sprintf("%s%08d", name, i), Value: value, TTL: 1000})
	}
	f := newFeed(t, Options{})
	f.define(1, ring.Index{ID: 1, Name: "by-n", Path: "*", Field: "n"})
	f.now = 10
	for range 3 {
		f.apply(EncodeTick(nil, f.now))
	}
	s := f.open()
	for range 2 {
		if r := f.write(s, 1, puts...); r.Code != op.TooLarge || r.Revision != 0 {
			t.Fatalf("%d objects at once: %v", objects, r.Code)
		}
	}
	for i := range objects / 16 {
		if r := f.write(s, uint64(2+i), puts[16*i:16*i+16]...); r.Code != op.OK {
			t.Fatalf("16 objects: %+v", r)
		}
		if f.p.indexed > op.MaxIndexed {
			t.Errorf("16 objects made %d bytes of entries", f.p.indexed)
		}
	}
	f.now += 2000
	entries := 0
	for entries = 0; f.p.NextExpiry() != 0 && entries < objects; entries++ {
		f.apply(EncodeTick(nil, f.now))
		if f.p.indexed > 2*op.MaxIndexed {
			t.Errorf("%d bytes of entries expired in one entry of the log", f.p.indexed)
		}
	}
	if entries < 2 || f.get(puts[0].Path).Code != op.NotFound {
		t.Errorf("expired within %d entries", entries)
	}

	f = newFeed(t, Options{Faults: Faults{IndexedUnbounded: true}})
	f.define(1, ring.Index{ID: 1, Name: "by-n", Path: "*", Field: "n"})
	if r := f.write(f.open(), 1, puts...); r.Code != op.OK {
		t.Errorf("planted mistake: %v", r.Code)
	}
}

// numbered are values for an index, and a JSON object of them.
func numbered(from, count int) []byte {
	var numbers []string
	for i := range count {
		numbers = append(numbers, fmt.Sprint(from+i))
	}
	return []byte(`{"n":[` + strings.Join(numbers, ",") + `]}`)
}

// TestEntriesOfOneObject: an object of a long name has fewer values in an index, the lowest, so that a put of it in all
// indexes makes and removes no more than a batch may; one with a short name has all 256. What turns are shared out by is no less
// than that.
func TestEntriesOfOneObject(t *testing.T) {
	var all []ring.Index
	for i := range maxIndexes {
		all = append(all, ring.Index{ID: uint32(i + 1), Name: fmt.Sprint("by-n", i), Path: "*", Field: "n"})
	}
	root, path := strings.Repeat("r", op.MaxRoot), strings.Repeat("p", op.MaxPath)
	made := func(f *feed, seq uint64, root, path string, value []byte) int {
		w := &op.Write{Root: root, Session: op.Session(1), Seq: seq, Floor: seq, Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: value}}}
		if r := f.apply(EncodeWrite(nil, f.now, app, w)); r.Code != op.OK {
			t.Fatalf("%+v", r)
		}
		if cost := IndexCost(all, w); cost < f.p.indexed {
			t.Errorf("a put that makes and removes %d bytes counts for %d", f.p.indexed, cost)
		}
		return f.p.indexed
	}
	for _, planted := range []bool{false, true} {
		f := newFeed(t, Options{Faults: Faults{EntriesUnbounded: planted}})
		if s := f.open(); s != 1 {
			t.Fatalf("session %d", s)
		}
		f.define(1, all...)
		if planted {
			w := &op.Write{Root: root, Session: 1, Seq: 1, Floor: 1, Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: numbered(0, maxValues)}}}
			f.apply(EncodeWrite(nil, f.now, app, w))
			if f.p.indexed <= op.MaxIndexed {
				t.Errorf("planted mistake: %d bytes of entries", f.p.indexed)
			}
			continue
		}
		first, second := made(f, 1, root, path, numbered(0, maxValues)), made(f, 2, root, path, numbered(maxValues, maxValues))
		if first == 0 || second != 2*first || second > op.MaxIndexed {
			t.Errorf("a put makes %d bytes of entries, its replacement makes and removes %d", first, second)
		}
		made(f, 3, "short", "", numbered(0, maxValues))
		for _, c := range []struct{ root, want int }{{0, maxEntries / (indexIDLen + numberLen + len(root) + 1 + len(path))}, {1, maxValues}} {
			name := [...]string{root, "short"}[c.root]
			var got []float64
			r := op.Read{Kind: op.Query, Index: "by-n0", Limit: op.MaxListPage}
			for more := true; more; {
				page := f.p.Read(&r)
				for _, o := range page.Objects {
					if o.Root == name {
						got = append(got, o.Key.Number)
					}
					r.Cursor = o.Cursor
				}
				more = page.More
			}
			lowest := float64(maxValues * (1 - c.root))
			if len(got) != c.want || got[0] != lowest || got[len(got)-1] != lowest+float64(c.want-1) {
				t.Errorf("%d values of root %.8s are in the index, want %d from %.0f", len(got), name, c.want, lowest)
			}
		}
		f.define(2)
		for _, part := range picture(t, f.p).parts {
			if part.number == tableIndex && part.b != nil {
				if key, _ := part.b.Cursor().First(); key != nil {
					t.Errorf("entry %.20q is left", key)
				}
			}
		}
	}
}
