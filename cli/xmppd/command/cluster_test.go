package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
)

// statusOf is a cluster of three servers, of which the third is as told.
func statusOf(third xmppd.ClusterServer, records xmppd.ClusterRecords) *xmppd.ClusterStatus {
	third.Name = "x3"
	records.Cluster, records.Partitions, records.Copies = "c", 64, 3
	return &xmppd.ClusterStatus{Records: &records, Servers: []xmppd.ClusterServer{
		{Name: "x1", State: "up", Self: true, Connected: true, Records: &xmppd.ServerRecords{Copies: 64, Leads: 33}},
		{Name: "x2", State: "up", Connected: true, Records: &xmppd.ServerRecords{Copies: 64, Leads: 31}},
		third,
	}}
}

// TestStatusText: what people read of the records says what holds, and what to do.
func TestStatusText(t *testing.T) {
	here := xmppd.ClusterServer{State: "up", Connected: true, Records: &xmppd.ServerRecords{Copies: 64}}
	away := xmppd.ClusterServer{State: absent, Records: &xmppd.ServerRecords{Copies: 64}}
	empty := xmppd.ClusterServer{State: "up", Connected: true, Records: &xmppd.ServerRecords{Coming: 30, Lost: 64}}
	for _, c := range []struct {
		what string
		st   *xmppd.ClusterStatus
		want []string
	}{
		{"all is well", statusOf(here, xmppd.ClusterRecords{Survives: true}), []string{"COPIES", "64      31", "all copies are there", "one more server may be lost"}},
		{"one is gone", statusOf(away, xmppd.ClusterRecords{Lacking: 64, Needed: []string{"x1", "x2"}}), []string{"absent  cut off", "64 partitions lack a copy: x3", "must not be lost now: x1, x2"}},
		{"one is empty", statusOf(empty, xmppd.ClusterRecords{Lacking: 64, Moving: true, Moves: 64, Left: 30}), []string{"moving: 34 of 64 copies", "x3 has lost its data", "lack a copy still"}},
		{"no majority", statusOf(away, xmppd.ClusterRecords{Lost: 64}), []string{"64 partitions have no majority", "until more of x3 are back", "no more server"}},
		{"one refuses", &xmppd.ClusterStatus{Servers: []xmppd.ClusterServer{{Name: "x3", Reason: "it is another cluster's"}}}, []string{"no link with x3: it is another cluster's"}},
		{"nothing seen", &xmppd.ClusterStatus{Records: new(xmppd.ClusterRecords)}, []string{"not seen the cluster's records"}},
	} {
		var out bytes.Buffer
		if err := writeStatus(&out, c.st); err != nil {
			t.Fatal(err)
		}
		for _, text := range c.want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s: no %q in\n%s", c.what, text, out.String())
			}
		}
	}
	var out bytes.Buffer
	if err := writeStatus(&out, &xmppd.ClusterStatus{Servers: []xmppd.ClusterServer{{Name: "x1"}}}); err != nil || strings.Contains(out.String(), "records") {
		t.Errorf("servers that keep their own: %s, %v", out.String(), err)
	}
}

// TestRemovalText: who waits for a removal reads how far it is, and for whom it waits.
func TestRemovalText(t *testing.T) {
	leaving := xmppd.ClusterServer{State: "up", Connected: true, Records: &xmppd.ServerRecords{Copies: 20, Leaving: true}}
	st := statusOf(leaving, xmppd.ClusterRecords{Moving: true, Moves: 64, Left: 20})
	if got, want := leftOf(st, "x3"), "x3: 44 of 64 copies are made elsewhere, it is a member for 20 partitions still"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	st.Servers[1].Connected, st.Servers[1].Records.Coming = false, 20
	if got := leftOf(st, "x3"); !strings.HasSuffix(got, "; waiting for x2, which can't be reached") {
		t.Error(got)
	}
}

// TestDrainText: who is about to stop a server that the records need is told what to do first.
func TestDrainText(t *testing.T) {
	st := statusOf(xmppd.ClusterServer{State: absent, Records: new(xmppd.ServerRecords)}, xmppd.ClusterRecords{Needed: []string{"x1", "x2"}})
	if !needed(st, "x2") || needed(st, "x3") || !strings.Contains(whyNeeded(st, "x2"), "start x3 first") {
		t.Error(whyNeeded(st, "x2"))
	}
	st.Servers = st.Servers[:2]
	if !strings.Contains(whyNeeded(st, "x2"), "start a third server") {
		t.Error(whyNeeded(st, "x2"))
	}
}
