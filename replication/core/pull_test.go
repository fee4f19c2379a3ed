package core

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// TestStagedOfAnEarlierPull: one snapshot is pulled, then another, then the first
// again. What is reported late of the first pull is not taken for word of the third:
// the second has thrown away what was staged.
func TestStagedOfAnEarlierPull(t *testing.T) {
	for _, faults := range []Faults{{}, {StagedByName: true}} {
		w := scrubWorld(t, faults)
		c := w.nodes[2].core
		g := c.groups[0]
		pull := func(name string) StageJob {
			c.beginPull(g, 1, []byte(name), &pb.Message{})
			job := c.next.Stages[len(c.next.Stages)-1]
			g.lead = 0 // nobody to give it to: what is done is seen to be
			return job
		}
		first := pull("a")
		pull("b")
		again := pull("a")
		if err := c.Staged(first, 1, true, nil); err != nil {
			t.Fatal(err)
		}
		if taken := g.in.done; taken != faults.StagedByName {
			t.Errorf("%+v: a report of the first pull is taken: %v", faults, taken)
		}
		if err := c.Staged(again, 0, false, nil); err != nil {
			t.Fatal(err)
		}
		if !g.in.opened {
			t.Errorf("%+v: the report of the third pull is not taken", faults)
		}
	}
}
