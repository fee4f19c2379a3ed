package state

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// testStore opens a store in a directory of the test.
func testStore(t *testing.T, opt Options) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "state"), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func testPart(t *testing.T, s *Store, id uint32) *Partition {
	t.Helper()
	p, err := s.Partition(id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// feed applies commands one after the other.
type feed struct {
	t     *testing.T
	p     *Partition
	index uint64
	now   int64
}

func (f *feed) apply(cmd []byte) op.WriteResult {
	f.index++
	return f.p.Apply(f.index, 1, cmd)
}

func (f *feed) open() op.Session {
	f.t.Helper()
	r := f.apply(EncodeOpen(nil, f.now, "app@example.org"))
	if r.Code != op.OK {
		f.t.Fatalf("open: %+v", r)
	}
	return r.Session
}

// put writes an object; cond version 0 means that it must be absent.
func (f *feed) put(s op.Session, seq, floor uint64, path, value string) op.WriteResult {
	return f.apply(EncodeWrite(nil, f.now, app, &op.Write{
		Root: "root", Session: s, Seq: seq, Floor: floor,
		Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: []byte(value)}},
	}))
}

func (f *feed) create(s op.Session, seq uint64, path string) op.WriteResult {
	return f.apply(EncodeWrite(nil, f.now, app, &op.Write{
		Root: "root", Session: s, Seq: seq, Floor: 1,
		Mutations: []op.Mutation{{Kind: op.Put, Path: path, Cond: op.Condition{Kind: op.Absent}}},
	}))
}

func newFeed(t *testing.T, opt Options) *feed {
	return &feed{t: t, p: testPart(t, testStore(t, opt), 3)}
}

// TestSequences goes through the rules of sessions (docs/protocol.md) on one of them: the root's
// revision tells whether a write was executed.
func TestSequences(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	for _, step := range []struct {
		name       string
		seq, floor uint64
		code       op.Code
		revision   uint64 // of the root, in the answer
	}{
		{"first", 1, 1, op.OK, 1},
		{"repeated: the same answer", 1, 1, op.OK, 1},
		{"second", 2, 1, op.OK, 2},
		{"ahead of its neighbours", 5, 1, op.OK, 3},
		{"one that was left out", 3, 1, op.OK, 4},
		{"first again, after others", 1, 1, op.OK, 1},
		{"the floor rises", 6, 4, op.OK, 5},
		{"below the floor, executed before", 1, 1, op.Unknown, 0},
		{"below the floor, with the floor of then", 3, 3, op.Unknown, 0},
		{"at the floor, never seen", 4, 4, op.OK, 6},
		{"above the floor, still known", 5, 4, op.OK, 3},
		{"at the end of the window", 4 + op.MaxWindow, 4, op.OK, 7},
		{"beyond the window", 5 + op.MaxWindow, 4, op.Unknown, 0},
		{"within the window as the floor has risen", 5 + op.MaxWindow, 5, op.OK, 8},
		{"sequence zero", 0, 0, op.Invalid, 0},
		{"floor above the sequence", 9, 10, op.Invalid, 0},
		{"the last sequence there could be", math.MaxUint64, math.MaxUint64, op.Invalid, 0},
		{"beyond the last", op.MaxSeq + 1, 5, op.Invalid, 0},
		{"the session is as it was", 5 + op.MaxWindow, 5, op.OK, 8},
		{"the last of all", op.MaxSeq, op.MaxSeq, op.OK, 9},
	} {
		r := f.put(s, step.seq, step.floor, "path", "value")
		if r.Code != step.code || r.Revision != step.revision {
			t.Errorf("%s: %+v, want code %d, revision %d", step.name, r, step.code, step.revision)
		}
	}
	if r := f.put(s+1, 1, 1, "", ""); r.Code != op.SessionExpired {
		t.Errorf("a session never opened: %+v", r)
	}
	if r := f.put(0, 1, 1, "", ""); r.Code != op.SessionExpired {
		t.Errorf("no session: %+v", r)
	}
}

// TestConflictIsRecorded: after "failed" was told, a late copy must fail too.
func TestConflictIsRecorded(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	f.put(s, 1, 1, "a", "there")
	first := f.create(s, 2, "a")
	if first.Code != op.Conflict || first.Revision != 1 || first.Items[0] != (op.Item{Code: op.Conflict, Version: 1}) {
		t.Fatalf("create over an object: %+v", first)
	}
	del := &op.Write{Root: "root", Session: s, Seq: 3, Floor: 1, Mutations: []op.Mutation{{Kind: op.Delete, Path: "a"}}}
	if r := f.apply(EncodeWrite(nil, 0, app, del)); r.Code != op.OK || r.Items[0] != (op.Item{Code: op.OK}) {
		t.Fatalf("delete: %+v", r)
	}
	if late := f.create(s, 2, "a"); late.Code != op.Conflict {
		t.Errorf("late copy of a refused create: %+v", late)
	}
	if r := f.create(s, 4, "a"); r.Code != op.OK || r.Revision != 3 {
		t.Errorf("a new create: %+v, want revision 3: it survives the deletion of all objects", r)
	}
}

func TestSessionsExpireByLogTime(t *testing.T) {
	f := newFeed(t, Options{SessionTTL: time.Second, MaxSessions: 2, SessionGrace: 100 * time.Millisecond})
	old, used := f.open(), f.open()
	if r := f.apply(EncodeOpen(nil, 0, "third@example.org")); r.Code != op.Unavailable {
		t.Fatalf("a third session while two are in use: %+v", r)
	}
	f.now = 500
	f.put(used, 1, 1, "", "")
	f.now = 1001
	if r := f.put(old, 1, 1, "", ""); r.Code != op.SessionExpired {
		t.Errorf("session unused for 1001 ms: %+v", r)
	}
	f.now = 3 // a leader with a slow clock: log time stands still
	if r := f.put(used, 2, 1, "", ""); r.Code != op.OK {
		t.Errorf("session used 501 ms ago: %+v", r)
	}
	f.now = 1090
	third := f.open()
	f.now = 1150
	fourth := f.open() // evicts the least recently used one, of 1001
	if _, ok := f.p.SessionOwner(used); ok {
		t.Error("the least recently used session is still there")
	}
	for _, s := range []op.Session{third, fourth} {
		if owner, ok := f.p.SessionOwner(s); !ok || owner != "app@example.org" {
			t.Errorf("session %d: owner %q, %v", s, owner, ok)
		}
	}
}

func TestRing(t *testing.T) {
	s := testStore(t, Options{})
	f := &feed{t: t, p: testPart(t, s, ring.MetaPartition)}
	if r := f.apply(EncodeRing(nil, 0, 0, []byte("one"))); r.Code != op.OK || r.Revision != 1 {
		t.Errorf("first document: %+v", r)
	}
	if r := f.apply(EncodeRing(nil, 0, 0, []byte("other"))); r.Code != op.Conflict || r.Revision != 1 {
		t.Errorf("document over an older epoch: %+v", r)
	}
	if doc, epoch := f.p.Ring(); string(doc) != "one" || epoch != 1 {
		t.Errorf("ring %q at epoch %d", doc, epoch)
	}
	other := &feed{t: t, p: testPart(t, s, 0)}
	if r := other.apply(EncodeRing(nil, 0, 0, []byte("one"))); r.Code != op.Invalid {
		t.Errorf("ring document in a partition of keys: %+v", r)
	}
}

func TestMalformedCommands(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	long := strings.Repeat("x", op.MaxPath+1)
	put := func(root, path string) []byte {
		return EncodeWrite(nil, 0, app, &op.Write{Root: root, Session: s, Seq: 1, Mutations: []op.Mutation{{Kind: op.Put, Path: path}}})
	}
	good := put("root", "path")
	for name, cmd := range map[string][]byte{
		"newer format":    {commandVersion + 1, kindWrite},
		"unknown kind":    {commandVersion, 99, 0},
		"cut short":       good[:len(good)-1],
		"something after": append(good[:len(good):len(good)], 0),
		"no root":         put("", "path"),
		"NUL in the root": put("a\x00b", ""),
		"NUL in the path": put("root", "a\x00b"),
		"long path":       put("root", long),
		"long root":       put(long, ""),
		"no mutation":     EncodeWrite(nil, 0, app, &op.Write{Root: "root", Session: s, Seq: 1}),
		"unknown kind of mutation": EncodeWrite(nil, 0, app, &op.Write{
			Root: "root", Session: s, Seq: 1, Mutations: []op.Mutation{{Kind: 7}},
		}),
		"owner missing": EncodeOpen(nil, 0, ""),
	} {
		if r := f.apply(cmd); r.Code != op.Invalid || r.Text == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := f.apply(good); r.Code != op.OK || r.Revision != 1 {
		t.Errorf("a good write under the same sequence: %+v", r)
	}
	if index, _ := f.p.Applied(); index != f.index {
		t.Errorf("applied %d of %d entries", index, f.index)
	}
}

func TestReadInPieces(t *testing.T) {
	f := newFeed(t, Options{MaxReadBytes: 10})
	s := f.open()
	value := "0123456789abcdefghijKLM"
	f.put(s, 1, 1, "big", value)
	for _, flushed := range []bool{false, true} {
		var got []byte
		for len(got) < len(value) {
			r := f.p.Read(&op.Read{Kind: op.Get, Root: "root", Path: "big", Offset: uint64(len(got)), Version: 1})
			if r.Code != op.OK || r.Objects[0].Size != uint64(len(value)) || len(r.Objects[0].Value) == 0 {
				t.Fatalf("flushed %v, piece at %d: %+v", flushed, len(got), r)
			}
			got = append(got, r.Objects[0].Value...)
		}
		if string(got) != value {
			t.Errorf("flushed %v: got %q", flushed, got)
		}
		if err := f.p.store.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	f.put(s, 2, 1, "big", "changed")
	r := f.p.Read(&op.Read{Kind: op.Get, Root: "root", Path: "big", Offset: 10, Version: 1})
	if r.Code != op.Conflict {
		t.Errorf("next piece of an object that has changed: %+v", r)
	}
	if r := f.p.Read(&op.Read{Kind: 9}); r.Code != op.Invalid {
		t.Errorf("unknown read: %+v", r)
	}
}

// TestListIsBounded: a page ends at its limit of objects and of bytes, and the
// pages together are everything once.
func TestListIsBounded(t *testing.T) {
	f := newFeed(t, Options{MaxReadBytes: 40})
	s := f.open()
	var want []string
	for i := range 20 {
		path := strings.Repeat("p", 10) + string(rune('a'+i))
		want = append(want, path)
		f.put(s, uint64(i+1), 1, path, "v")
		if i == 10 {
			if err := f.p.store.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []string
	r := op.ReadResult{More: true}
	for read := (op.Read{Kind: op.List, Root: "root", FromStart: true}); r.More; read.FromStart = false {
		r = f.p.Read(&read)
		if r.Code != op.OK || len(r.Objects) == 0 || len(r.Objects) > 3 {
			t.Fatalf("page: %+v", r)
		}
		for _, o := range r.Objects {
			got = append(got, o.Path)
		}
		read.After = got[len(got)-1]
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSessionsOfOneOwner: a burst of opens, all proposed before the first is applied,
// gets no more than an owner's share.
func TestSessionsOfOneOwner(t *testing.T) {
	burst := func(faults Faults) (opened int) {
		f := newFeed(t, Options{MaxOwnerSessions: 5, Faults: faults})
		for range 20 {
			switch r := f.apply(EncodeOpen(nil, 0, "app@example.org")); {
			case r.Code == op.OK:
				opened++
			case r.Code != op.Overloaded || r.RetryAfter <= 0:
				t.Fatalf("beyond the share: %+v", r)
			}
		}
		if r := f.apply(EncodeOpen(nil, 0, "other@example.org")); r.Code != op.OK {
			t.Errorf("another owner: %+v", r)
		}
		return opened
	}
	if n := burst(Faults{}); n != 5 {
		t.Errorf("%d sessions of one owner, want 5", n)
	}
	if n := burst(Faults{OwnersUncounted: true}); n == 5 {
		t.Error("the seeded fault was not noticed")
	}
}

// TestUnusedSessionOfOneOwner: who has all of a share of sessions, none of them in use,
// gets a new one in place of the one unused for longest. What that one has sent and
// what is sent of it again is told to be unknown and never executed.
func TestUnusedSessionOfOneOwner(t *testing.T) {
	f := newFeed(t, Options{MaxOwnerSessions: 2, SessionGrace: 100 * time.Millisecond})
	other := f.apply(EncodeOpen(nil, 0, "other@example.org")).Session // unused for longer, but another's
	old, used := f.open(), f.open()
	f.put(old, 1, 1, "", "first")
	f.now = 50
	f.put(used, 1, 1, "b", "v")
	f.now = 99
	if r := f.apply(EncodeOpen(nil, f.now, "app@example.org")); r.Code != op.Overloaded || r.RetryAfter != 1 {
		t.Fatalf("a third session while two are in use: %+v", r)
	}
	if wait := f.p.OpenWait("app@example.org", f.now); wait != 1 {
		t.Errorf("a place in %d ms, want 1", wait)
	}
	f.now = 100
	if wait := f.p.OpenWait("app@example.org", f.now); wait != 0 {
		t.Errorf("a place in %d ms, want at once", wait)
	}
	third := f.open()
	for seq, path := range []string{"", "late"} { // a copy of what was applied, and one that was under way
		if r := f.put(old, uint64(seq+1), 1, path, "again"); r.Code != op.SessionExpired {
			t.Errorf("in a session that was ended: %+v", r)
		}
	}
	if r := f.get("late"); r.Code != op.NotFound {
		t.Errorf("a write in a session that was ended was executed: %+v", r)
	}
	if r := f.get(""); string(r.Objects[0].Value) != "first" {
		t.Errorf("a write was executed twice: %+v", r)
	}
	for _, s := range []op.Session{other, used, third} {
		if _, ok := f.p.SessionOwner(s); !ok {
			t.Errorf("session %d is gone", s)
		}
	}
	f.now = 149
	if r := f.apply(EncodeOpen(nil, f.now, "app@example.org")); r.Code != op.Overloaded || r.RetryAfter != 1 {
		t.Errorf("the one that was used at 50, at 149: %+v", r)
	}
}

// TestUsedSessionStays: a share whose sessions are all in use gets no new one, or what
// they have under way would be unknown.
func TestUsedSessionStays(t *testing.T) {
	kept := func(faults Faults) bool {
		f := newFeed(t, Options{MaxOwnerSessions: 1, Faults: faults})
		s := f.open()
		f.put(s, 1, 1, "", "v")
		f.apply(EncodeOpen(nil, f.now, "app@example.org"))
		return f.put(s, 1, 1, "", "v").Code == op.OK
	}
	if !kept(Faults{}) {
		t.Error("a session in use was ended")
	}
	if kept(Faults{UsedEvicted: true}) {
		t.Error("the seeded fault was not noticed")
	}
}
