package replicated

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/ring"
)

// TestRisk: what is told of copies that are missing, and of servers that are needed, holds for clusters of one to
// five servers, and while a copy moves.
func TestRisk(t *testing.T) {
	for _, c := range []struct {
		servers       int
		away          string
		lacking, lost bool // any partition
		needed        string
	}{
		{1, "", false, false, "x1"},
		{2, "", false, false, "x1 x2"},
		{2, "x2", true, true, ""},
		{3, "", false, false, ""},
		{3, "x1", true, false, "x2 x3"},
		{3, "x1 x3", true, true, ""},
		{5, "", false, false, ""},
		{5, "x4", true, false, "x1 x2 x3 x5"},
	} {
		doc := documentOf(t, c.servers)
		r := riskOf(doc, func(m ring.Member) bool { return !slices.Contains(strings.Fields(c.away), nameOf(m)) })
		if (r.Lacking > 0) != c.lacking || (r.Lost > 0) != c.lost || strings.Join(r.Needed, " ") != c.needed && c.needed != "" {
			t.Errorf("%d servers without %q: %+v", c.servers, c.away, r)
		}
		if c.needed == "" && !c.lost && len(r.Needed) > 0 {
			t.Errorf("%d servers without %q: %v are needed", c.servers, c.away, r.Needed)
		}
	}
}

// TestRiskWhileMoving: a change that goes to a server that can't be reached is counted, and so is data that is lost.
func TestRiskWhileMoving(t *testing.T) {
	doc := documentOf(t, 3)
	wiped, _, err := nextRing(doc, []Server{{Name: "x3", Store: uuid.NewString()}}, never())
	if err != nil {
		t.Fatal(err)
	}
	r := riskOf(wiped, func(m ring.Member) bool { return hasName(wiped, m) })
	if r.Lacking != doc.Partitions || r.Lost != 0 || strings.Join(r.Needed, " ") != "x1 x2" {
		t.Errorf("when one of three has lost its data: %+v", r)
	}
}

// TestLostWithout: who may leave while others are missing, in clusters of two to five servers, and who is missed if not.
func TestLostWithout(t *testing.T) {
	for _, c := range []struct {
		servers      int
		away, leaves string
		missed       string // "": it may leave
	}{
		{2, "", "x2", ""},
		{2, "x2", "x2", ""},
		{3, "", "x2", ""},
		{3, "x3", "x3", ""},
		{3, "x3", "x2", "x3"},
		{3, "x3", "x1", "x3"},
		{3, "x2 x3", "x3", ""},
		{3, "x2 x3", "x1", "x2 x3"},
		{4, "x4", "x4", ""},
		{4, "x3 x4", "x1", "x3 x4"},
		{5, "x4", "x5", ""},
		{5, "x4 x5", "x5", ""},
	} {
		doc := documentOf(t, c.servers)
		m, _ := doc.ByJID(jidOf(c.leaves))
		lost, away, err := lostWithout(doc, m, func(m ring.Member) bool { return !slices.Contains(strings.Fields(c.away), nameOf(m)) })
		if err != nil || (lost > 0) != (c.missed != "") || strings.Join(away, " ") != c.missed {
			t.Errorf("of %d servers without %q %s leaves: %d partitions lost, %v missed, %v", c.servers, c.away, c.leaves, lost, away, err)
		}
	}
}

func documentOf(t *testing.T, servers int) *ring.Document {
	t.Helper()
	var members []ring.Member
	for i := range servers {
		members = append(members, ring.Member{JID: jidOf(name(i + 1)), Store: uuid.NewString()})
	}
	doc, err := ring.New(members, ring.Options{Cluster: uuid.NewString(), Partitions: 64})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
