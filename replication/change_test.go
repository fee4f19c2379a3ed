package replication

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// gossip hands each node's document to the others, as presence and fetching do.
func (c *testCluster) gossip() {
	for i := range c.dirs {
		for j := range c.dirs {
			from, to := c.node(i), c.node(j)
			if from == nil || to == nil || i == j {
				continue
			}
			if doc := from.Ring(); doc != nil && (to.Ring() == nil || to.Ring().Epoch < doc.Epoch) {
				// A node that is no member any more refuses it.
				if err := to.Reconcile(doc); err != nil && !errors.Is(err, ErrStranger) {
					c.t.Error(err)
				}
			}
		}
	}
}

// change proposes a plan for the members until it is accepted, and waits for the
// end: every group has what the table says, everywhere.
func (c *testCluster) change(what string, members []ring.Member) *ring.Document {
	c.t.Helper()
	var begun uint64
	eventually(c.t, "the change begins", func() bool {
		c.gossip()
		n := c.leader(ring.MetaPartition)
		doc := n.Ring()
		plan, err := ring.MakePlan(doc, members, ring.PlanOptions{})
		if err != nil {
			c.t.Fatal(err)
		}
		next, err := plan.Begin(doc, members, "change", 0, 0)
		if err != nil {
			c.t.Fatal(err)
		}
		begun = next.Epoch
		return n.ProposeRing(context.Background(), doc.Epoch, next) == nil
	})
	var doc *ring.Document
	eventually(c.t, what, func() bool {
		c.gossip()
		doc = c.leader(ring.MetaPartition).Ring()
		return doc.Epoch > begun && doc.Change == nil
	})
	eventually(c.t, what+": all replicas are where the table has them", func() bool {
		c.gossip()
		for i := range c.dirs {
			n := c.node(i)
			if n == nil || n.Ring() == nil || n.Ring().Epoch < doc.Epoch {
				continue // a stranger
			}
			for _, g := range n.Groups() {
				if !slices.Contains(doc.Group(g.Group), uint64(i+1)) {
					return false
				}
			}
			if n.Status().Held != len(GroupsOf(doc, uint64(i+1))) {
				return false
			}
		}
		return true
	})
	return doc
}

// TestMembersComeAndGo: a fourth node joins, takes its share, and the first one
// leaves; nothing that was written is lost, and what left is deleted.
func TestMembersComeAndGo(t *testing.T) {
	const partitions = 4
	c := newTestCluster(t, 3, partitions, nil)
	sessions := make(map[uint32]op.Session)
	for p := range uint32(partitions) {
		sessions[p] = c.session(p)
		if res := c.write(p, put(sessions[p], 1, "root", "p", fmt.Sprint("v", p))); res.Code != op.OK {
			t.Fatalf("write: %+v", res)
		}
	}
	c.dirs = append(c.dirs, nil)
	c.start(3)
	members := c.doc.NewMember(slices.Clone(c.doc.Members), ring.Member{JID: "dn4@example.org/store", Store: c.dirs[3].Store()})
	doc := c.change("a node joins", members)
	if held := len(GroupsOf(doc, 4)); held < 2 {
		t.Errorf("the new node holds %d groups", held)
	}

	c.restart(3)
	members = slices.Clone(doc.Members)
	members[0].State = ring.Leaving
	doc = c.change("a node leaves", members)
	if _, ok := doc.Member(1); ok {
		t.Error("the node that left is a member still")
	}
	c.stop(0)
	for p := range uint32(partitions) {
		if res := c.read(p, get("root", "p")); res.Code != op.OK || string(res.Objects[0].Value) != fmt.Sprint("v", p) {
			t.Errorf("partition %d: %+v", p, res)
		}
		if res := c.write(p, put(sessions[p], 2, "root", "p", "w")); res.Code != op.OK {
			t.Errorf("write after the change: %+v", res)
		}
	}
}

// TestReplicasGoToOtherZones: two of six partitions have all replicas in one zone once members
// have another one; replicas really go where each partition has both.
func TestReplicasGoToOtherZones(t *testing.T) {
	const partitions = 6
	c := newTestCluster(t, 6, partitions, nil)
	for p := range uint32(partitions) {
		if res := c.write(p, put(c.session(p), 1, "root", "p", "v")); res.Code != op.OK {
			t.Fatalf("write: %+v", res)
		}
	}
	split := func(doc *ring.Document) (both int) { // partitions with replicas in both zones
		for p := range uint32(partitions) {
			zones := make(map[string]bool)
			for _, m := range doc.ReplicasOf(p) {
				zones[m.Zone] = true
			}
			if len(zones) == 2 {
				both++
			}
		}
		return both
	}
	// Rows are of three members in a row: two of the six are of one zone.
	members := slices.Clone(c.doc.Members)
	for i := range members {
		members[i].Zone = "east"
		if i < 3 {
			members[i].Zone = "west"
		}
	}
	was := *c.doc
	was.Members = members
	doc := c.change("half of the members are in another zone", members)
	if before := split(&was); before != partitions-2 || split(doc) != partitions {
		t.Errorf("%d of %d partitions had both zones, %d have", before, partitions, split(doc))
	}
	for i := range 3 { // a zone is gone
		c.stop(i)
	}
	for p := range uint32(partitions) {
		held := 0
		for _, i := range []int{3, 4, 5} {
			if part := c.node(i).part(p); part != nil {
				held++
			}
		}
		if held == 0 {
			t.Errorf("partition %d has no replica in the other zone", p)
		}
	}
}

func (c *testCluster) restart(i int) {
	c.t.Helper()
	c.stop(i)
	c.start(i)
}

// TestProposeRing: a document is replaced only if it is the expected one, and
// only at the leader of the meta group.
func TestProposeRing(t *testing.T) {
	c := newTestCluster(t, 3, 1, nil)
	n := c.leader(ring.MetaPartition)
	next := c.doc.Next()
	eventually(t, "a document is accepted", func() bool {
		return c.leader(ring.MetaPartition).ProposeRing(context.Background(), 1, next) == nil
	})
	n = c.leader(ring.MetaPartition)
	eventually(t, "the proposer knows it", func() bool { return n.Ring().Epoch == 2 })
	if err := n.ProposeRing(context.Background(), 1, next); err == nil {
		t.Error("a change from an old epoch is accepted")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range c.dirs {
		if other := c.node(i); other != n {
			if err := other.ProposeRing(ctx, 2, next.Next()); err == nil {
				t.Error("a node that does not lead the meta group takes a proposal")
			}
		}
	}
}

// move replaces the row of a partition, and waits until it is so everywhere.
func (c *testCluster) move(what string, p uint32, row ...uint64) {
	c.t.Helper()
	var begun uint64
	eventually(c.t, what+" begins", func() bool {
		c.gossip()
		n := c.leader(ring.MetaPartition)
		next := n.Ring().Next()
		next.Change = &ring.Change{ID: "move", Target: slices.Clone(next.Table), Meta: next.Meta, Since: next.Epoch}
		next.Change.Target[p] = row
		begun = next.Epoch
		return n.ProposeRing(context.Background(), next.Epoch-1, next) == nil
	})
	eventually(c.t, what, func() bool {
		c.gossip()
		doc := c.leader(ring.MetaPartition).Ring()
		if doc.Epoch <= begun || doc.Change != nil {
			return false
		}
		for i := range c.dirs {
			n := c.node(i)
			held := slices.ContainsFunc(n.Groups(), func(g GroupStatus) bool { return g.Group == p && g.Applied > 0 })
			if n.Ring().Epoch != doc.Epoch || held != slices.Contains(row, uint64(i+1)) {
				return false
			}
		}
		return true
	})
}

// TestReplicaComesBack: a member loses a partition and gets it back, with a
// restart after each step.
func TestReplicaComesBack(t *testing.T) {
	c := newTestCluster(t, 4, 1, nil)
	s := c.session(0)
	for seq := uint64(1); seq <= 3; seq++ {
		if res := c.write(0, put(s, seq, "root", "p", fmt.Sprint("v", seq))); res.Code != op.OK {
			t.Fatalf("write: %+v", res)
		}
		switch seq {
		case 1:
			c.move("member 3 loses the partition", 0, 1, 2, 4)
			c.restart(2)
		case 2:
			c.move("member 3 gets it back", 0, 3, 2, 4)
			c.restart(2)
		}
	}
	c.stop(1) // a majority needs member 3 now
	if res := c.read(0, get("root", "p")); res.Code != op.OK || string(res.Objects[0].Value) != "v3" {
		t.Errorf("after all: %+v", res)
	}
	if res := c.write(0, put(s, 3, "root", "p", "v3")); res.Code != op.OK {
		t.Errorf("the retry of a write: %+v", res)
	}
}

// TestLostFilesOfALateMember: a member that joined a running cluster may not come
// back without what it has promised, either.
func TestLostFilesOfALateMember(t *testing.T) {
	c := newTestCluster(t, 3, 1, nil)
	c.dirs = append(c.dirs, nil)
	c.start(3)
	members := c.doc.NewMember(slices.Clone(c.doc.Members), ring.Member{JID: "dn4@example.org/store", Store: c.dirs[3].Store()})
	members[2].State = ring.Leaving
	c.change("member 3 is replaced by 4", members)
	c.stop(3)
	path := filepath.Join(c.root, "4")
	for _, f := range []string{stateFile, walDir} {
		if err := os.RemoveAll(filepath.Join(path, f)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if n, err := Open(Config{Dir: d, Transport: testLink{net: c.net, from: 4}}); !errors.Is(err, ErrLostState) {
		t.Errorf("Open: %v; want ErrLostState", err)
		if err == nil {
			n.Close()
		}
	}
}
