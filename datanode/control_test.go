package datanode

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// TestCatchUp: a newer epoch in a member's presence makes the node fetch the
// document, from keepers of the ring first, until one has it.
func TestCatchUp(t *testing.T) {
	n, _, _ := testNode(t)
	var asked []string
	answers := map[string]uint64{} // epoch that a member has
	n.fetch = func(_ context.Context, jid string) (*ring.Document, error) {
		asked = append(asked, jid)
		epoch, ok := answers[jid]
		if !ok {
			return nil, errors.New("no answer")
		}
		doc := testRing(t)
		doc.Epoch = epoch
		return doc, nil
	}
	work := func() {
		for len(n.tasks) > 0 {
			(<-n.tasks)(t.Context())
		}
	}
	n.announced(1)
	work()
	if len(asked) != 0 {
		t.Fatalf("asked %v for what it has", asked)
	}
	n.announced(3)
	n.announced(2)
	work()
	if want := []string{testMember(2).JID, testMember(3).JID}; !slices.Equal(asked, want) || n.epoch() != 1 {
		t.Fatalf("asked %v, epoch %d", asked, n.epoch())
	}
	// The next round finds one that is up to date, and goes past one that is not.
	answers[testMember(2).JID], answers[testMember(3).JID] = 2, 3
	n.catchUp(t.Context())
	if n.epoch() != 3 {
		t.Fatalf("epoch %d", n.epoch())
	}
	asked = nil
	n.catchUp(t.Context())
	if len(asked) != 0 {
		t.Fatalf("asked %v although up to date", asked)
	}
	n.announced(4)
	answers[testMember(3).JID] = 4
	n.view.Load().peers[2].away.Store(true)
	work()
	if !slices.Equal(asked, []string{testMember(3).JID}) || n.epoch() != 4 {
		t.Fatalf("asked %v, epoch %d", asked, n.epoch())
	}
}

// TestBootstrapOnlyBegins: an operator gives the first document; changes go
// through the meta group.
func TestBootstrapOnlyBegins(t *testing.T) {
	encode := func(edit func(*ring.Document)) string {
		doc := testRing(t)
		edit(doc)
		b, err := ring.Encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	same := encode(func(*ring.Document) {})
	newer := encode(func(d *ring.Document) { d.Epoch = 2 })
	other := encode(func(d *ring.Document) { d.Cluster = "6f1a2b3c-0000-4000-8000-000000000002" })
	n, _, _ := testNode(t)
	if err := n.bootstrap(same); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := n.bootstrap(newer); err == nil || n.epoch() != 1 {
		t.Errorf("a newer one: %v, epoch %d", err, n.epoch())
	}
	if err := n.bootstrap(other); !errors.Is(err, replication.ErrForeignCluster) {
		t.Errorf("another cluster's: %v", err)
	}
	if err := n.bootstrap("{}"); !errors.Is(err, ring.ErrCorrupt) {
		t.Errorf("nonsense: %v", err)
	}
	n.view.Store(nil)
	if err := n.bootstrap(newer); err == nil || n.state() != wire.StateJoining {
		t.Errorf("a later one for a new node: %v, %s", err, n.state())
	}
	if err := n.bootstrap(same); err != nil || n.state() != wire.StateOK {
		t.Errorf("the first: %v, %s", err, n.state())
	}
}
