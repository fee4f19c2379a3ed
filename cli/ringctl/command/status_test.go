package command

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// TestStatusTellsStrangers: a lost disk shows before its node has found out itself, and
// is not taken for a node that has left.
func TestStatusTellsStrangers(t *testing.T) {
	doc := &ring.Document{Epoch: 7, Partitions: 8, Members: []ring.Member{{ID: 1, JID: "dn1@d/store", Store: "a"}, {ID: 2, JID: "dn2@d/store", Store: "b"}}}
	s := summarize(doc, []admin.NodeView{
		{JID: "dn1@d/store", Online: true, Health: wire.Health{State: "ok", Store: "a"}},
		{JID: "dn2@d/store", Online: true, Show: "xa", Health: wire.Health{State: "joining", Store: "new"}},
		{JID: "dn3@d/store", Online: true, Show: "xa", Health: wire.Health{State: "stranger", Store: "c", Held: 5}},
	}, &admin.Leaders{Led: 8})
	for i, want := range []string{"ok", "stranger", "left"} {
		if got := s.Nodes[i].State; got != want {
			t.Errorf("%s is %s, want %s", s.Nodes[i].Node, got, want)
		}
	}
	for i, want := range []bool{false, true, false} {
		if got := lostMember(s.Nodes[i]); got != want {
			t.Errorf("%s is a lost member: %v", s.Nodes[i].Node, got)
		}
	}
	if held := s.Nodes[2].Held; held != 0 {
		t.Errorf("a node that has left holds %d partitions", held)
	}
	if v := s.verdict(); s.Healthy || !strings.Contains(v, "dn2 is stranger: `ringctl replace dn2 dn2`") {
		t.Error(v)
	}
}

// TestStatusOfWhoHasLeft: a node that was started again with the ring from before it left does not know
// yet, and the ring does.
func TestStatusOfWhoHasLeft(t *testing.T) {
	doc := &ring.Document{Epoch: 7, Partitions: 8, Members: []ring.Member{{ID: 1, JID: "dn1@d/store", Store: "a"}}}
	s := summarize(doc, []admin.NodeView{
		{JID: "dn1@d/store", Online: true, Health: wire.Health{State: "ok", Store: "a", Epoch: 6}},
		{JID: "dn2@d/store", Online: true, Health: wire.Health{State: "ok", Store: "b", Epoch: 6, Held: 1}},
		{JID: "dn3@d/store", Online: true, Health: wire.Health{State: "ok", Store: "c", Epoch: 8}}, // it has just joined
	}, &admin.Leaders{Led: 8})
	for i, want := range []string{"ok available", "left xa", "ok available"} {
		if got := s.Nodes[i].State + " " + s.Nodes[i].Presence; got != want {
			t.Errorf("%s is %s, want %s", s.Nodes[i].Node, got, want)
		}
	}
	if s.Nodes[1].Held != 0 || !s.Healthy {
		t.Errorf("%+v", s)
	}
}

// TestStatusHoldsWholeCopies: what a node is still getting is not held, and what it was to have and has not is not either.
func TestStatusHoldsWholeCopies(t *testing.T) {
	doc := &ring.Document{Epoch: 7, Partitions: 3, Members: []ring.Member{{ID: 1, JID: "dn1@d/store"}, {ID: 2, JID: "dn2@d/store"}}, Table: [][]uint64{{1}, {1, 2}, {1}}}
	s := summarize(doc, []admin.NodeView{
		{JID: "dn1@d/store", Online: true, Health: wire.Health{State: "ok", Held: 2}},
		{JID: "dn2@d/store", Online: true, Health: wire.Health{State: "ok", Held: 3}},
	}, &admin.Leaders{Led: 3})
	if s.Nodes[0].Held != 2 || s.Nodes[1].Held != 1 {
		t.Errorf("%+v", s.Nodes)
	}
}

// TestHidden: who is recorded and down is waited for, who was removed is not.
func TestHidden(t *testing.T) {
	info := &devcluster.Info{Nodes: []devcluster.Node{{ID: "dn1", JID: "dn1@d/store"}}}
	for jid, want := range map[string]bool{"dn1@d/store": true, "dn4@d/store": false} {
		if got := hidden(&clusterStatus{Nodes: []nodeRow{{JID: jid, Presence: "down"}, {JID: "dn1@d/store", Presence: "xa"}}}, info); got != want {
			t.Errorf("%s: %v", jid, got)
		}
	}
}

// TestRestarted: that all partitions have leaders says nothing of the disk of a node that runs again.
func TestRestarted(t *testing.T) {
	row := func(member uint64, state string) nodeRow {
		return nodeRow{Node: "dn2", Member: member, State: state, Presence: "available"}
	}
	for _, c := range []struct {
		row      nodeRow
		want     string
		degraded bool
	}{
		{row(2, "ok"), "dn2 runs, and the cluster is healthy", false},
		{row(2, "stranger"), "dn2 is stranger: `ringctl replace dn2 dn2`", true},
		{row(0, "left"), "no member of the ring any more", false},
		{row(0, "joining"), "`ringctl join dn2`", false},
	} {
		s := &clusterStatus{Healthy: !c.degraded, Epoch: 3, Nodes: []nodeRow{{Node: "dn1", Member: 1, State: "ok"}, c.row}}
		if c.degraded {
			s.reasons = []string{"dn2 is stranger: `ringctl replace dn2 dn2`, or put its old disk back"}
		}
		if text, degraded := restarted("dn2", s); !strings.Contains(text, c.want) || degraded != c.degraded {
			t.Errorf("%s: %s, degraded %v", c.row.State, text, degraded)
		}
	}
}

// TestNoBootstrapOverTheDead: where a node is down that may know a ring, nobody is
// told to make another store.
func TestNoBootstrapOverTheDead(t *testing.T) {
	waits := admin.NodeView{JID: "dn1@d/store", Online: true, Show: "xa", Health: wire.Health{State: "joining"}}
	down := admin.NodeView{JID: "dn2@d/store"}
	for _, c := range []struct {
		views     []admin.NodeView
		bootstrap bool
	}{
		{[]admin.NodeView{waits}, true},
		{[]admin.NodeView{down}, false},
		{[]admin.NodeView{waits, down}, false},
	} {
		v := summarize(nil, c.views, nil).verdict()
		if strings.Contains(v, "bootstrap") != c.bootstrap || strings.Contains(v, "start the data nodes") == c.bootstrap {
			t.Errorf("%v: %s", c.views, v)
		}
	}
}

// TestStatusTellsWhoCatchesUp: a node that has come back does not count before it has what it missed.
func TestStatusTellsWhoCatchesUp(t *testing.T) {
	doc := &ring.Document{Epoch: 7, Partitions: 8, Members: []ring.Member{{ID: 1, JID: "dn1@d/store", Store: "a"}}}
	for behind, healthy := range map[uint64]bool{0: true, catchingUp: true, catchingUp + 1: false} {
		s := summarize(doc, []admin.NodeView{{JID: "dn1@d/store", Online: true, Health: wire.Health{State: "ok", Store: "a"}}},
			&admin.Leaders{Led: 8, Behind: map[string]admin.Behind{"dn1@d/store": {Entries: behind, Groups: 1}}})
		if v := s.verdict(); s.Healthy != healthy || strings.Contains(v, "dn1 catches up") == healthy {
			t.Errorf("%d entries behind: %s", behind, v)
		}
	}
}

// TestStatusTellsOfMixedVersions: with a node that drops what the others send a cluster is not healthy, whatever is led.
func TestStatusTellsOfMixedVersions(t *testing.T) {
	doc := &ring.Document{Epoch: 7, Partitions: 8, Members: []ring.Member{{ID: 1, JID: "dn1@d/store", Store: "a"}}}
	s := summarize(doc, []admin.NodeView{{JID: "dn1@d/store", Online: true, Health: wire.Health{State: wire.StateMixed, Store: "a"}}}, &admin.Leaders{Led: 8})
	if v := s.verdict(); s.Healthy || !strings.Contains(v, "dn1 cannot read what other data nodes send: run one version on all") {
		t.Errorf("verdict: %s", v)
	}
}
