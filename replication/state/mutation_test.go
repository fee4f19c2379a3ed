package state

import (
	"fmt"
	"math"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

func (f *feed) write(s op.Session, seq uint64, muts ...op.Mutation) op.WriteResult {
	return f.apply(EncodeWrite(nil, f.now, app, &op.Write{Root: "root", Session: s, Seq: seq, Floor: 1, Mutations: muts}))
}

func (f *feed) get(path string) op.ReadResult {
	return f.p.Read(&op.Read{Kind: op.Get, Root: "root", Path: path})
}

// TestCounter: sums, and what is none; a repeated add counts once.
func TestCounter(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	add := func(delta int64) op.Mutation { return op.Mutation{Kind: op.Add, Path: "n", Delta: delta} }
	for i, step := range []struct {
		delta int64
		code  op.Code
		item  op.Item
	}{
		{3, op.OK, op.Item{Code: op.OK, Version: 1, Count: 3}},
		{-5, op.OK, op.Item{Code: op.OK, Version: 2, Count: -2}},
		{math.MinInt64, op.Conflict, op.Item{Code: op.Invalid, Version: 2, Count: -2}},
		{0, op.OK, op.Item{Code: op.OK, Version: 3, Count: -2}},
		{math.MaxInt64, op.OK, op.Item{Code: op.OK, Version: 4, Count: math.MaxInt64 - 2}},
		{3, op.Conflict, op.Item{Code: op.Invalid, Version: 4, Count: math.MaxInt64 - 2}},
	} {
		for try := range 2 {
			if r := f.write(s, uint64(i+1), add(step.delta)); r.Code != step.code || r.Items[0] != step.item {
				t.Errorf("step %d, try %d: %+v, want code %d, %+v", i, try, r, step.code, step.item)
			}
		}
	}
	if r := f.get("n"); string(r.Objects[0].Value) != fmt.Sprint(math.MaxInt64-2) {
		t.Errorf("counter is %+v", r)
	}
	f.write(s, 10, op.Mutation{Kind: op.Put, Path: "n", Value: []byte("many")})
	if r := f.write(s, 11, add(1)); r.Code != op.Conflict || r.Items[0].Code != op.Invalid {
		t.Errorf("add to a word: %+v", r)
	}
	f.write(s, 12, op.Mutation{Kind: op.Put, Path: "n", Value: []byte("9223372036854775808")})
	if r := f.write(s, 13, add(1)); r.Code != op.Conflict || r.Items[0] != (op.Item{Code: op.Invalid, Version: r.Revision}) {
		t.Errorf("add to 2^63: %+v", r)
	}
}

// TestCheckAndRevision: a check decides and changes nothing; a batch of checks
// leaves the revision as it is.
func TestCheckAndRevision(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	f.put(s, 1, 1, "a", "1")
	check := func(version uint64) op.Mutation {
		return op.Mutation{Kind: op.Check, Path: "a", Cond: op.Condition{Kind: op.VersionIs, Version: version}}
	}
	put := op.Mutation{Kind: op.Put, Path: "b"}
	if r := f.write(s, 2, check(2), put); r.Code != op.Conflict || r.Items[0] != (op.Item{Code: op.Conflict, Version: 1}) {
		t.Errorf("batch with a check that fails: %+v", r)
	}
	if r := f.write(s, 3, check(1)); r.Code != op.OK || r.Revision != 1 || r.Items[0].Version != 1 {
		t.Errorf("nothing but a check: %+v", r)
	}
	if r := f.write(s, 4, check(1), put); r.Code != op.OK || r.Revision != 2 || r.Items[1].Version != 2 {
		t.Errorf("check and put: %+v", r)
	}
	for i, c := range []struct {
		revision uint64
		code     op.Code
	}{{1, op.Conflict}, {2, op.OK}} {
		r := f.apply(EncodeWrite(nil, 0, app, &op.Write{
			Root: "root", Session: s, Seq: uint64(5 + i), Floor: 1, RootCond: op.Condition{Kind: op.VersionIs, Version: c.revision}, Mutations: []op.Mutation{put},
		}))
		if r.Code != c.code {
			t.Errorf("if the revision is %d: %+v", c.revision, r)
		}
	}
}

func TestSettle(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	settle := func(seq uint64) op.WriteResult {
		return f.apply(EncodeSettle(nil, 0, app, op.Settle{Session: s, Seq: seq}))
	}
	first := f.put(s, 1, 1, "a", "1")
	if r := settle(1); r.Code != op.OK || r.Revision != first.Revision || len(r.Items) != 1 {
		t.Errorf("settle of an applied write: %+v", r)
	}
	if r := settle(2); r.Code != op.NotApplied {
		t.Errorf("settle of a write that did not arrive: %+v", r)
	}
	if r := f.put(s, 2, 1, "a", "late"); r.Code != op.NotApplied {
		t.Errorf("a late copy of it: %+v", r)
	}
	if r := f.get("a"); string(r.Objects[0].Value) != "1" {
		t.Errorf("the late copy was executed: %+v", r)
	}
	f.put(s, 5, 4, "b", "")
	if r := settle(3); r.Code != op.Unknown {
		t.Errorf("settle below the floor: %+v", r)
	}
	if r := f.apply(EncodeSettle(nil, 0, OwnerOf("eve@example.org"), op.Settle{Session: s, Seq: 5})); r.Code != op.Denied {
		t.Errorf("settle in another's session: %+v", r)
	}
}

// TestSessionsOfOthers: whoever proposes, a session serves its owner only.
func TestSessionsOfOthers(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	w := &op.Write{Root: "root", Session: s, Seq: 1, Floor: 1, Mutations: []op.Mutation{{Kind: op.Put, Path: "a"}}}
	if r := f.apply(EncodeWrite(nil, 0, OwnerOf("eve@example.org"), w)); r.Code != op.Denied {
		t.Errorf("write in another's session: %+v", r)
	}
	if r := f.apply(EncodeWrite(nil, 0, app, w)); r.Code != op.OK {
		t.Errorf("the owner's write under the same sequence: %+v", r)
	}
}

// TestExpiry: an object is gone when log time says so, for readers and conditions,
// whether it was removed already or not; entries remove a bounded number.
func TestExpiry(t *testing.T) {
	for _, flush := range []bool{false, true} {
		f := newFeed(t, Options{expirePerEntry: 64})
		s := f.open()
		const many = 64 + 10
		for i := range uint64(many) {
			f.write(s, i+1, op.Mutation{Kind: op.Put, Path: fmt.Sprintf("%03d", i), TTL: 100})
		}
		f.write(s, many+1, op.Mutation{Kind: op.Put, Path: "longer", TTL: 100}, op.Mutation{Kind: op.Put, Path: "kept", TTL: 100})
		f.now = 50
		f.write(s, many+2, op.Mutation{Kind: op.Put, Path: "longer", TTL: 100}, op.Mutation{Kind: op.Put, Path: "kept"})
		if flush {
			if err := f.p.store.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if at := f.p.NextExpiry(); at != 100 {
			t.Errorf("the first object expires at %d", at)
		}
		f.now = 99
		f.apply(EncodeTick(nil, f.now))
		if r := f.get("000"); r.Code != op.OK || r.Objects[0].Expires != 100 {
			t.Errorf("before its time: %+v", r)
		}
		f.now = 100
		f.apply(EncodeTick(nil, f.now))
		last := fmt.Sprintf("%03d", many-1) // not removed yet
		if r := f.get(last); r.Code != op.NotFound {
			t.Errorf("after its time: %+v", r)
		}
		if at := f.p.NextExpiry(); at != 100 {
			t.Errorf("with objects waiting for their removal the next tick is due at %d", at)
		}
		if r := f.write(s, many+3, op.Mutation{Kind: op.Put, Path: last, Cond: op.Condition{Kind: op.Absent}}); r.Code != op.OK {
			t.Errorf("created again: %+v", r)
		}
		list := f.p.Read(&op.Read{Kind: op.List, Root: "root", FromStart: true})
		if len(list.Objects) != 3 || list.Objects[0].Path != last || list.Objects[1].Path != "kept" || list.Objects[1].Expires != 0 {
			t.Errorf("what is left: %+v", list)
		}
		f.apply(EncodeTick(nil, f.now))
		if at := f.p.NextExpiry(); at != 150 {
			t.Errorf("with the due ones removed the next time is %d", at)
		}
		f.now = 150
		f.apply(EncodeTick(nil, f.now))
		if r := f.get("longer"); r.Code != op.NotFound || f.p.NextExpiry() != 0 {
			t.Errorf("the last one: %+v, next at %d", r, f.p.NextExpiry())
		}
		if err := f.p.store.Flush(); err != nil {
			t.Fatal(err)
		}
		if len(f.p.active.soonest) > 0 || f.p.flushing != nil {
			t.Error("entries of the past are kept")
		}
	}
}
