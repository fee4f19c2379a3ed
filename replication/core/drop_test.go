package core

import (
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// dropTheDead: of three replicas one is to stay, and one of the others is away. Were the other one, which is there, dropped
// first, the two that are left would have no majority for ever.
func dropTheDead(leaves bool) scenario {
	return func(w *world) string {
		leader, dead := w.nodes[0], uint64(2)
		w.parted = func(from, to uint64) bool { return from == dead || to == dead }
		if !leaves && !w.until(1000, func() bool { return !leader.core.isUp(dead) }) {
			return "nobody notices that member 2 is away"
		}
		doc := w.document(2, []uint64{1, 2, 3}, []uint64{1})
		if leaves { // which is known before anybody can notice that it is away
			doc.Members[1].State = ring.Leaving
		}
		w.publish(doc)
		if !w.until(500, func() bool { return atGoal(leader.core.groups[0].conf, []uint64{1}) }) {
			return "the group has no majority"
		}
		return ""
	}
}

func TestTheDeadAreDroppedFirst(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		if bad := runScenario(t, dropTheDead(leaves), Faults{}); bad != "" {
			t.Errorf("it leaves: %v: %s", leaves, bad)
		}
		if bad := runScenario(t, dropTheDead(leaves), Faults{DropAny: true}); bad != "the group has no majority" {
			t.Errorf("with the seeded fault, it leaves: %v: %q", leaves, bad)
		}
	}
}
