package replication

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

func TestWipedDiskIsAStranger(t *testing.T) {
	c := newTestCluster(t, 3, 2, nil)
	c.stop(2)
	path := filepath.Join(c.root, "3")
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	c.start(2)
	if err := c.node(2).Reconcile(c.doc); !errors.Is(err, ErrStranger) {
		t.Errorf("a node with a new disk takes the old one's place: %v", err)
	}
	if s := c.node(2).Status(); s.Held != 0 || s.Member != 0 {
		t.Errorf("the stranger holds %d groups as member %d", s.Held, s.Member)
	}
	s := c.session(1)
	if res := c.write(1, put(s, 1, "root", "p", "v")); res.Code != op.OK {
		t.Errorf("write without the stranger: %+v", res)
	}
}

func TestLostFilesAreNoticed(t *testing.T) {
	for name, remove := range map[string][]string{
		"state":         {stateFile},
		"log":           {walDir},
		"state and log": {stateFile, walDir},
		"ring":          {ringFile},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t, 3, 2, nil)
			c.leader(0)
			c.stop(2)
			for _, f := range remove {
				if err := os.RemoveAll(filepath.Join(c.root, "3", f)); err != nil {
					t.Fatal(err)
				}
			}
			d, err := OpenDir(filepath.Join(c.root, "3"))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			n, err := Open(Config{Dir: d, Transport: testLink{net: c.net, from: 3}})
			if !errors.Is(err, ErrLostState) {
				t.Errorf("Open: %v; want ErrLostState", err)
			}
			if err == nil {
				n.Close()
			}
		})
	}
}

func TestReconcileRefuses(t *testing.T) {
	c := newTestCluster(t, 3, 2, nil)
	foreign := *c.doc
	foreign.Cluster = "c0ffee00-0000-4000-8000-000000000002"
	foreign.Epoch = 2
	if err := c.node(0).Reconcile(&foreign); !errors.Is(err, ErrForeignCluster) {
		t.Errorf("another cluster's document: %v", err)
	}
	other := *c.doc
	other.Replicas = 2
	if err := c.node(0).Reconcile(&other); err == nil {
		t.Error("a second document of the same epoch is taken")
	}
	if err := c.node(0).Reconcile(c.doc); err != nil {
		t.Errorf("the same document again: %v", err)
	}
}

func TestRingTravelsThroughMeta(t *testing.T) {
	rings := make(chan uint64, 16)
	c := newTestCluster(t, 3, 2, func(cfg *Config) {
		cfg.OnRing = func(d *ring.Document) { rings <- d.Epoch }
	})
	for range 3 {
		if epoch := <-rings; epoch != 1 {
			t.Fatalf("epoch %d", epoch)
		}
	}
	propose := func(expect uint64, doc *ring.Document) op.WriteResult {
		raw, err := ring.Encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		return c.write(ring.MetaPartition, state.EncodeRing(nil, time.Now().UnixMilli(), expect, raw))
	}
	if res := propose(0, c.doc); res.Code != op.OK {
		t.Fatalf("first document: %+v", res)
	}
	next := *c.doc
	next.Epoch = 2
	next.Table = [][]uint64{{2, 3, 1}, {3, 1, 2}}
	if res := propose(1, &next); res.Code != op.OK {
		t.Fatalf("second document: %+v", res)
	}
	if res := propose(1, &next); res.Code != op.Conflict {
		t.Errorf("a change from an old epoch: %+v", res)
	}
	for range 3 {
		select {
		case epoch := <-rings:
			if epoch != 2 {
				t.Fatalf("epoch %d", epoch)
			}
		case <-time.After(time.Minute):
			t.Fatal("the second document does not arrive")
		}
	}
	c.doc = &next
	c.waitPreferred() // the new table prefers others
	for i := range 3 {
		c.stop(i)
		c.start(i)
		if e := c.node(i).Ring().Epoch; e != 2 {
			t.Errorf("node %d knows epoch %d after a restart", i+1, e)
		}
	}
}
