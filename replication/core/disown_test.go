package core

import "testing"

// TestDisownedPromisesStay: a store that gets another number deletes its replicas, and whatever it is next it
// takes part in no earlier term, nor votes twice in one.
func TestDisownedPromisesStay(t *testing.T) {
	for _, f := range []Faults{{}, {DisownForgets: true}} {
		bad := runScenario(t, func(w *world) string {
			n := w.nodes[2]
			hs := n.core.groups[0].rn.BasicStatus()
			applied := n.core.groups[0].applied
			n.core.Disown()
			w.ticks(5)
			tomb, gone := n.tombs[0]
			switch {
			case !gone || n.state[0].index != 0:
				return "the replica is there"
			case tomb.Index < max(applied, FirstIndex):
				return "an older snapshot would be taken"
			case tomb.Term < hs.GetTerm() || tomb.Term == hs.GetTerm() && tomb.Vote != hs.GetVote():
				return "what it has promised is forgotten"
			}
			return ""
		}, f)
		if (bad != "") != f.DisownForgets {
			t.Errorf("with %+v: %q", f.DisownForgets, bad)
		}
	}
}
