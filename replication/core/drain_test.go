package core

import (
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// TestLeadershipsLeaveAtOnce: what a member that leaves leads goes to another within a second, also while the change is
// paused, so that all its replicas are still there. With the seeded fault it leads on.
func TestLeadershipsLeaveAtOnce(t *testing.T) {
	drained := func(w *world) string {
		if w.nodes[0].core.groups[0].lead != 1 {
			return "member 1 does not lead at first"
		}
		doc := w.document(2, []uint64{1, 2, 3}, []uint64{2, 3})
		doc.Members[0].State, doc.Change.Paused = ring.Leaving, true
		w.publish(doc)
		second := int(1e9 / 50e6) // ticks
		if !w.until(second, func() bool { l := w.nodes[0].core.groups[0].lead; return l == 2 || l == 3 }) {
			return "member 1 leads on"
		}
		if g, ok := w.nodes[0].group(); !ok || !slices.Contains(g.Voters, 1) {
			return "its replica has gone, too"
		}
		return ""
	}
	if bad := runScenario(t, drained, Faults{}); bad != "" {
		t.Error(bad)
	}
	if bad := runScenario(t, drained, Faults{LeaversLead: true}); bad != "member 1 leads on" {
		t.Errorf("with the seeded fault: %q", bad)
	}
}
