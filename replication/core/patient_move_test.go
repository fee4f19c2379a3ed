package core

import (
	"fmt"
	"slices"
	"testing"
)

// awayLearner: a new replica's node goes away for longer than a learner may stand still. It
// is not taken out for that when it is back, and one that is put in anew, because it did
// stand still, has all the time again.
func awayLearner(w *world) string {
	leader, learner := w.nodes[0], w.nodes[3]
	learner.starved = true // it is there, and gets nothing
	w.publish(w.document(2, []uint64{1, 2, 3}, []uint64{1, 2, 4}))
	learns := func() bool { g, _ := leader.group(); return slices.Contains(g.Learners, 4) }
	if !w.until(50, learns) {
		return "member 4 does not become a learner"
	}
	was, removals := true, 0
	look := func(ticks int) {
		for range ticks {
			w.ticks(1)
			is := learns()
			if was && !is {
				removals++
			}
			was = is
		}
	}
	w.parted = func(from, to uint64) bool { return from == 4 || to == 4 }
	look(stuckTicks + 50)
	w.parted = nil
	if look(100); removals > 0 {
		return "a learner that is just back is taken out"
	}
	if look(stuckTicks); removals != 1 {
		return fmt.Sprintf("a learner that stands still is taken out %d times", removals)
	}
	learner.starved = false
	if !w.swapped(leader, 1, 2, 4) {
		return "the learner never catches up: " + leader.core.groups[0].moving.why
	}
	return ""
}

// TestLearnersGetTheirTime: the seeded fault takes learners out that were away.
func TestLearnersGetTheirTime(t *testing.T) {
	if bad := runScenario(t, awayLearner, Faults{}); bad != "" {
		t.Error(bad)
	}
	if bad := runScenario(t, awayLearner, Faults{NoPatience: true}); bad != "a learner that is just back is taken out" {
		t.Errorf("with the seeded fault: %q", bad)
	}
}
