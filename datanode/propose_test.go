package datanode

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// TestPropose: what an operator is told of a document.
func TestPropose(t *testing.T) {
	encode := func(d *ring.Document) string {
		b, err := ring.Encode(d)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	next := testRing(t).Next()
	later := next.Next()
	spoilt := testRing(t).Next()
	spoilt.Meta = []uint64{1}
	for _, c := range []struct {
		name, text string
		engine     error
		want       string
		proposed   bool
	}{
		{"no document", "x", nil, adminxml.OutcomeInvalid, false},
		{"the one it has", encode(testRing(t)), nil, adminxml.OutcomeConflict, false},
		{"one too late", encode(later), nil, adminxml.OutcomeUnavailable, false},
		{"not a person's to change", encode(spoilt), nil, adminxml.OutcomeInvalid, false},
		{"another was faster", encode(next), fmt.Errorf("x: %w", replication.ErrRingChanged), adminxml.OutcomeConflict, true},
		{"not the leader", encode(next), fmt.Errorf("x: %w", replication.ErrNotMetaLeader), adminxml.OutcomeUnavailable, true},
		{"lost on the way", encode(next), fmt.Errorf("x: %w", replication.ErrRingUnknown), adminxml.OutcomeUnknown, true},
		{"disk full", encode(next), errors.New("full"), adminxml.OutcomeUnavailable, true},
		{"taken", encode(next), nil, adminxml.OutcomeOK, true},
	} {
		n, e, _ := testNode(t)
		e.ringErr = c.engine
		var told []adminxml.Proposed
		n.propose(t.Context(), c.text, func(p adminxml.Proposed) { told = append(told, p) })
		n.proposing.Wait()
		for len(n.tasks) > 0 {
			(<-n.tasks)(t.Context())
		}
		if c.want == adminxml.OutcomeOK {
			// Not before this node serves by it: who asks next has to find it.
			if len(told) != 0 {
				t.Errorf("%s: told early: %+v", c.name, told)
			}
			if err := n.publish(next); err != nil {
				t.Fatal(err)
			}
		}
		if len(told) != 1 || told[0].Outcome != c.want || (len(e.expected) == 1) != c.proposed {
			t.Errorf("%s: %+v, %v proposed, want %s", c.name, told, e.expected, c.want)
			continue
		}
		if told[0].Epoch != n.epoch() || (c.want != adminxml.OutcomeOK && told[0].Text == "") {
			t.Errorf("%s: %+v", c.name, told[0])
		}
	}
}
