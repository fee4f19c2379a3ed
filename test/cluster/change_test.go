package cluster

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// newcomerCluster is a ring of the first nodes; the last one is in none.
func newcomerCluster(t *testing.T, nodes int) *cluster {
	c := newCluster(t, nodes)
	c.awaitOnline()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	doc, err := c.op.Bootstrap(ctx, c.jids()[:nodes-1], admin.BootstrapOptions{Partitions: testPartitions})
	if err != nil {
		t.Fatal(err)
	}
	c.doc = doc
	return c
}

// joining is the document that begins the change in which a node joins.
func (c *cluster) joining(i int, edit func([]ring.Member)) *ring.Document {
	c.t.Helper()
	id, err := c.op.Identity(c.t.Context(), nodeJID(i))
	if err != nil {
		c.t.Fatal(err)
	}
	m := slices.Clone(c.doc.Members)
	if edit != nil {
		edit(m)
	}
	m = c.doc.NewMember(m, ring.Member{JID: nodeJID(i), Store: id.Store})
	pl, err := ring.MakePlan(c.doc, m, ring.PlanOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	next, err := pl.Begin(c.doc, m, "test", 0, 1)
	if err != nil {
		c.t.Fatal(err)
	}
	return next
}

// TestNewcomerTakesTheRing: a node that waits takes over a document that names
// it, without anybody handing it over.
func TestNewcomerTakesTheRing(t *testing.T) {
	c := newcomerCluster(t, 4)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if v := c.view(3); v.Health.State != wire.StateJoining {
		t.Fatalf("before: %+v", v)
	}
	next := c.joining(3, nil)
	if err := c.op.Propose(ctx, next); err != nil {
		t.Fatal(err)
	}
	c.eventually("the newcomer serves by the ring", func() bool {
		h := c.view(3).Health
		return h.State == wire.StateOK && h.Member == 4 && h.Epoch >= 2
	})
	// The same document again is one too late, and so is any other of its epoch.
	if err := c.op.Propose(ctx, next); !errors.Is(err, admin.ErrRingChanged) {
		t.Errorf("proposed twice: %v", err)
	}
	doc, err := c.op.Edit(ctx, func(d *ring.Document) (*ring.Document, error) { return d.Pause() })
	if err != nil || !doc.Change.Paused {
		t.Errorf("pause: %v", err)
	}
	bad := doc.Next()
	bad.Table[0] = []uint64{4, 1, 2}
	if err := c.op.Propose(ctx, bad); !errors.Is(err, admin.ErrRefused) {
		t.Errorf("a table written by hand: %v", err)
	}
	if _, err := c.op.Edit(ctx, func(d *ring.Document) (*ring.Document, error) { return d.Resume() }); err != nil {
		t.Fatal(err)
	}
	done := c.awaitEnd()
	if m, ok := done.Member(4); !ok || m.State != ring.Active || len(done.Members) != 4 {
		t.Errorf("members at the end: %+v", done.Members)
	}
}

// awaitEnd waits until no change is running, and returns the ring.
func (c *cluster) awaitEnd() (doc *ring.Document) {
	c.t.Helper()
	c.eventually("the change has ended", func() bool {
		d, err := c.op.Ring(c.t.Context())
		doc = d
		return err == nil && d.Change == nil
	})
	return doc
}

// TestTwoOperators: both change the ring at once, and no change is lost.
func TestTwoOperators(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const each = 4
	errs := make(chan error, 2)
	for _, who := range []string{"a", "b"} {
		go func() {
			for i := range each {
				_, err := c.op.Edit(ctx, func(d *ring.Document) (*ring.Document, error) {
					n := d.Next()
					n.Access = append(n.Access, ring.Grant{Account: who + "@localhost", Prefix: string(rune('0' + i))})
					return n, nil
				})
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	c.eventually("all know the last ring", func() bool {
		for i := range 3 {
			if c.view(i).Health.Epoch != 1+2*each {
				return false
			}
		}
		return true
	})
	doc, err := c.op.Ring(ctx)
	if err != nil || len(doc.Access) != 2*each {
		t.Errorf("%d grants of %d, %v", len(doc.Access), 2*each, err)
	}
}

// TestLostDiskIsReplaced: a node with an empty disk under a member's name takes
// the member's place when the ring says so, and not before.
func TestLostDiskIsReplaced(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	c.stop(2)
	if err := os.RemoveAll(c.nodes[2].dir); err != nil {
		t.Fatal(err)
	}
	c.start(2)
	c.eventually("the wiped node is a stranger", func() bool { return c.view(2).Health.State == wire.StateStranger })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next := c.joining(2, func(m []ring.Member) { m[2].State = ring.Leaving })
	if err := c.op.Propose(ctx, next); err != nil {
		t.Fatal(err)
	}
	c.eventually("it is the new member", func() bool {
		h := c.view(2).Health
		return h.State == wire.StateOK && h.Member == 4
	})
	done := c.awaitEnd()
	if _, there := done.Member(3); there || len(done.Members) != 3 {
		t.Errorf("members at the end: %+v", done.Members)
	}
}

// TestCalledOffJoinsAgain: a node whose join was called off before it held anything is no member, and joins again with its store, under another number.
func TestCalledOffJoinsAgain(t *testing.T) {
	c := newcomerCluster(t, 4)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next := c.joining(3, nil)
	next.Change.Paused = true // it gets nothing
	if err := c.op.Propose(ctx, next); err != nil {
		t.Fatal(err)
	}
	c.eventually("the newcomer serves by the ring", func() bool { return c.view(3).Health.Member == 4 })
	if _, err := c.op.Edit(ctx, func(d *ring.Document) (*ring.Document, error) { return d.Cancel() }); err != nil {
		t.Fatal(err)
	}
	c.doc = c.awaitEnd()
	if len(c.doc.Members) != 3 {
		t.Fatalf("members behind the end: %+v", c.doc.Members)
	}
	c.eventually("it knows that it is none", func() bool { return c.view(3).Health.State == wire.StateStranger })
	if err := c.op.Propose(ctx, c.joining(3, nil)); err != nil {
		t.Fatal(err)
	}
	c.eventually("it is another member", func() bool {
		h := c.view(3).Health
		return h.State == wire.StateOK && h.Member == 5
	})
	if m, ok := c.awaitEnd().Member(5); !ok || m.State != ring.Active {
		t.Errorf("at the end: %+v", m)
	}
}
