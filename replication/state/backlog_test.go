package state

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestBacklog: while expired objects wait for their removal a root's revision stands
// for two states, before and after. Reads tell, and no condition holds on it.
func TestBacklog(t *testing.T) {
	for _, flush := range []bool{false, true} {
		if revision := backlog(t, Faults{}, flush); revision != 2 {
			t.Errorf("a write upon revision 1 was applied, with what had expired at revision %d", revision)
		}
	}
	if revision := backlog(t, Faults{BacklogIgnored: true}, false); revision == 2 {
		t.Error("the seeded fault was not noticed")
	}
}

// backlog reads a root whose only object has expired, and writes to it if the
// revision is what was read. It returns the one at which the object was removed.
func backlog(t *testing.T, faults Faults, flush bool) uint64 {
	t.Helper()
	f := newFeed(t, Options{expirePerEntry: 2, Faults: faults})
	s := f.open()
	put := func(seq uint64, root string, paths ...string) {
		w := &op.Write{Root: root, Session: s, Seq: seq, Floor: 1}
		for _, path := range paths {
			w.Mutations = append(w.Mutations, op.Mutation{Kind: op.Put, Path: path, TTL: 100})
		}
		f.apply(EncodeWrite(nil, f.now, app, w))
	}
	put(1, "other", "a", "b", "c", "d") // removed before those of root
	put(2, "root", "x")
	if r := f.get("x"); r.Code != op.OK || r.Revision != 1 || r.Expiring {
		t.Fatalf("before its time: %+v", r)
	}
	f.now = 100
	f.apply(EncodeTick(nil, f.now))
	if flush {
		if err := f.p.store.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	list := f.p.Read(&op.Read{Kind: op.List, Root: "root", FromStart: true})
	if r := f.get("x"); r.Code != op.NotFound || r.Revision != 1 || !r.Expiring || !list.Expiring || len(list.Objects) > 0 {
		t.Fatalf("expired and not removed: %+v, %+v", r, list)
	}
	conditional := EncodeWrite(nil, f.now, app, &op.Write{
		Root: "root", Session: s, Seq: 3, Floor: 1, RootCond: op.Condition{Kind: op.VersionIs, Version: 1},
		Mutations: []op.Mutation{{Kind: op.Put, Path: "y"}},
	})
	if r := f.apply(conditional); r.Code != op.Unavailable && !faults.BacklogIgnored {
		t.Errorf("upon a revision that does not count what has expired: %+v", r)
	}
	r := f.apply(conditional)
	if again := f.get("x"); again.Expiring {
		t.Errorf("with everything removed: %+v", again)
	}
	if r.Code != op.Conflict && !faults.BacklogIgnored {
		t.Errorf("with everything removed: %+v", r)
	}
	return f.get("x").Revision
}

// TestOldTicks: commands of format 2 have the effect that they had.
func TestOldTicks(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	for i := range uint64(expirePerOldEntry + 1) {
		f.write(s, i+1, op.Mutation{Kind: op.Put, Path: string(rune('A' + i)), TTL: 100})
	}
	tick := EncodeTick(nil, 100)
	tick[0] = 2
	f.apply(tick)
	if r := f.get(""); r.Revision != 2*expirePerOldEntry+1 || !r.Expiring {
		t.Errorf("an entry of format 2 has left %+v", r)
	}
}
