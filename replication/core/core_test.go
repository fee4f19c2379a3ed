package core

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// lone is a core with one group that has no other replica.
func lone(t *testing.T, cfg Config) *testNode {
	t.Helper()
	w := &world{t: t}
	cfg.SleepTicks = -1
	w.cluster(1, 0, 1, cfg)
	w.settle()
	return w.nodes[0]
}

func TestProposalsBeyondTheBoundAreRefused(t *testing.T) {
	n := lone(t, Config{MaxPending: 1000})
	codes := make(map[op.Code]int)
	var ps []Proposal
	for range 20 {
		ps = append(ps, Proposal{Cmd: make([]byte, 100), Done: func(r op.WriteResult) { codes[r.Code]++ }})
	}
	n.core.Propose(ps)
	n.w.settle()
	if codes[op.OK] != 10 || codes[op.Unavailable] != 10 {
		t.Errorf("answers %v; want 10 taken, 10 refused", codes)
	}
	if p := n.core.Totals().Pending; p != 0 {
		t.Errorf("%d bytes count as pending after all are answered", p)
	}
	n.core.Propose(ps[:1])
	n.w.settle()
	if codes[op.OK] != 11 {
		t.Errorf("room is not given back: %v", codes)
	}
}

func TestLoneLeaderServesNoReadBeforeItsTerm(t *testing.T) {
	n := lone(t, Config{})
	n.hold = true
	n.core.Propose([]Proposal{{Cmd: []byte("x"), Done: func(op.WriteResult) {}}})
	n.w.settle()
	n.start() // a restart that forgets what was not durable
	n.hold, n.batch, n.inbox = true, nil, nil
	var got []op.Code
	n.core.Read([]ReadRequest{{Done: func(r op.ReadResult) { got = append(got, r.Code) }}})
	n.w.settle()
	for _, code := range got {
		if code == op.OK {
			t.Error("a read is served before the leader committed an entry of its term")
		}
	}
}

func TestBatchesStayUnderTheLimit(t *testing.T) {
	const limit = 4096
	w := &world{t: t}
	w.cluster(3, 0, 40, Config{SleepTicks: -1, MaxBatch: limit})
	for range 3 {
		for _, n := range w.nodes {
			n.core.Tick()
		}
		w.settle()
	}
	n := w.nodes[0]
	for g := range 40 {
		if g%3 == 0 { // led by the first node
			for range 3 {
				n.core.Propose([]Proposal{{Group: uint32(g), Cmd: make([]byte, 900), Done: func(r op.WriteResult) {
					if r.Code != op.OK {
						t.Errorf("group %d: code %d", g, r.Code)
					}
				}}})
			}
		}
	}
	n.core.Propose([]Proposal{{Cmd: make([]byte, 3*limit), Done: func(op.WriteResult) {}}})
	over := 0
	r := n.core.Advance()
	for _, s := range r.Sends {
		if len(s.Batch) > limit {
			over++
		}
	}
	if len(r.Sends) < 20 || over != 2 {
		t.Errorf("%d batches, %d over the limit; want many, and 2 over it (the large entry, to each peer)", len(r.Sends), over)
	}
	n.carryOut(r)
	w.settle()
}

func TestEveryRequestIsAnsweredOnce(t *testing.T) {
	w := &world{t: t}
	w.cluster(3, 0, 3, Config{SleepTicks: -1})
	answers := make(map[string]int)
	seq := 0
	ask := func() {
		for _, n := range w.nodes {
			if n.core == nil {
				continue
			}
			for g := range uint32(4) { // one of them is not held
				seq++
				id := fmt.Sprint(seq)
				answers[id] = 0
				n.core.Propose([]Proposal{{Group: g, Cmd: []byte(id), Done: func(op.WriteResult) { answers[id]++ }}})
				n.core.Read([]ReadRequest{{Group: g, Done: func(op.ReadResult) { answers["r"+id]++ }}})
				answers["r"+id] += 0
			}
		}
	}
	for i := range 200 {
		ask()
		n := w.nodes[i%3]
		switch i % 17 {
		case 3:
			n.cut = true
		case 8:
			n.cut = false
		case 11:
			n.core.SetFull(true)
		case 14:
			n.core.SetFull(false)
		}
		for _, n := range w.nodes {
			n.core.Tick()
		}
		w.settle()
	}
	for _, n := range w.nodes {
		n.cut = false
		n.core.Stop()
	}
	ask()
	w.settle()
	for _, n := range w.nodes {
		n.core.Abandon()
		n.carryOut(n.core.Advance())
	}
	for id, n := range answers {
		if n != 1 {
			t.Errorf("request %s was answered %d times", id, n)
		}
	}
}

func TestSnapshotsOfManyGroupsTakeTurns(t *testing.T) {
	w := &world{t: t}
	w.cluster(3, 0, 12, Config{SleepTicks: 3, KeepEntries: 4})
	tick := func(n int) {
		for range n {
			for _, n := range w.nodes {
				if n.core != nil {
					n.core.Tick()
				}
			}
			w.settle()
		}
	}
	tick(2)
	w.nodes[2].core = nil
	tick(45) // the others lead its groups now
	for g := range uint32(12) {
		for i := range 20 {
			for _, n := range w.nodes[:2] {
				n.core.Propose([]Proposal{{Group: g, Cmd: []byte(fmt.Sprint(i)), Done: func(op.WriteResult) {}}})
			}
			w.settle()
		}
	}
	w.nodes[2].start()
	tick(400)
	for g := range uint32(12) {
		if a, b := w.nodes[0].state[g].index, w.nodes[2].state[g].index; a != b {
			t.Errorf("group %d: the replica that was away has applied %d of %d", g, b, a)
		}
	}
	for _, n := range w.nodes {
		if len(n.core.pictured)+len(n.core.pulling)+len(n.pictures) > 0 {
			t.Errorf("node %d still holds %d pictures, or pulls %d", n.id, len(n.pictures), len(n.core.pulling))
		}
	}
}
