package datanode

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

func parse(t *testing.T, raw string) *stanza.Stanza {
	t.Helper()
	st, _, err := stanza.NewScanner(stanza.Limits{}).Next([]byte(raw))
	if err != nil || st == nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return st
}

// TestTwinWatch: only another store under the own full JID is a twin.
func TestTwinWatch(t *testing.T) {
	health := func(store string) string {
		return string(wire.AppendHealth(nil, &wire.Health{Store: store, State: wire.StateOK}))
	}
	for _, c := range []struct{ presence, want string }{
		{`<presence from='dn1@d/store'>` + health("other") + `</presence>`, "other"},
		{`<presence from='dn1@d/store'>` + health("own") + `</presence>`, ""}, // a session that the server does not know to be over
		{`<presence from='dn1@d/store' type='unavailable'>` + health("other") + `</presence>`, ""},
		{`<presence from='dn2@d/store'>` + health("other") + `</presence>`, ""},
		{`<presence from='dn1@d/phone'/>`, ""},
	} {
		seen := 0
		w := &twinWatch{n: &Node{full: "dn1@d/store", store: "own"}, seen: func() { seen++ }}
		w.Stanza(nil, parse(t, c.presence))
		if seen != 0 {
			t.Errorf("%s: over before the answer", c.presence)
		}
		w.Stanza(nil, parse(t, `<iq from='dn1@d' id='`+twinQuestion+`' type='result'/>`))
		if w.store != c.want || seen != 1 {
			t.Errorf("%s: twin %q, want %q; %d answers", c.presence, w.store, c.want, seen)
		}
	}
}

// TestSuccessorOfALostDisk: nothing for the member whose disk is lost goes to the
// one that has its JID now, and nothing of it is taken for the other's.
func TestSuccessorOfALostDisk(t *testing.T) {
	var m []ring.Member
	for i := range 4 {
		m = append(m, ring.Member{ID: uint64(i + 1), JID: fmt.Sprintf("dn%d@d/store", i+1), Store: fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1), State: ring.Active})
	}
	m[3].JID, m[3].State, m[2].State = m[2].JID, ring.Joining, ring.Leaving
	doc := &ring.Document{
		Version: ring.FormatVersion, Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Epoch: 2, Partitions: 1, Replicas: 3,
		Members: m, Meta: []uint64{1, 2, 3}, Table: [][]uint64{{1, 2, 3}},
	}
	v, err := newView(doc, m[0].Store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.peers[3].reachable(true, 1<<62) || !v.peers[4].reachable(true, 1<<62) || v.byJID[m[2].JID].id != 4 {
		t.Errorf("lost %+v, successor %+v", v.peers[3], v.peers[4])
	}
	for store, self := range map[string]uint64{m[3].Store: 4, m[2].Store: 0} {
		if v, err := newView(doc, store, nil); err != nil || v.self != self {
			t.Errorf("store %s is member %d, %v; want %d", store, v.self, err, self)
		}
	}
	// Who was a member may still ask.
	gone := *doc
	gone.Epoch, gone.Members, gone.Meta, gone.Table = 3, []ring.Member{m[0], m[1], m[3]}, []uint64{1, 2, 4}, [][]uint64{{1, 2, 4}}
	gone.Members[2].State = ring.Active
	after, err := newView(&gone, m[0].Store, v)
	if err != nil {
		t.Fatal(err)
	}
	if len(after.left) != 0 {
		t.Errorf("the JID of a member is among those that left: %v", after.left)
	}
	fewer := gone
	fewer.Members, fewer.Meta, fewer.Table, fewer.Epoch = gone.Members[:2], []uint64{1}, [][]uint64{{1, 2}}, 4
	if after, err = newView(&fewer, m[0].Store, after); err != nil {
		t.Fatal(err)
	}
	if _, left := after.left[m[3].JID]; !left {
		t.Error("a node that has left could not learn of it")
	}
}
