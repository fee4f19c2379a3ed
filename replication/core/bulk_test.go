package core

import (
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// deliver carries batches, or holds those that are bulk.
func (n *testNode) deliver(sends []Send) {
	for _, s := range sends {
		to := n.w.nodes[s.To-1]
		if s.Batch == nil {
			n.dropped = append(n.dropped, s.Bulk)
			continue
		}
		if n.cut || to.cut || to.core == nil || n.w.parted != nil && n.w.parted(n.id, to.id) {
			continue
		}
		batch := s.Batch
		if to.starved {
			batch = withoutAppends(n.w.t, batch, n.id)
		}
		arrive := func() {
			if err := to.core.Receive(n.id, batch); err != nil {
				n.w.printf("node %d: %v", to.id, err)
			}
		}
		if s.Bulk.Kind == BulkAppend {
			n.bulky = append(n.bulky, s.Bulk)
			if n.w.slow {
				n.w.held = append(n.w.held, func() { to.inbox = append(to.inbox, arrive) })
				continue
			}
		}
		to.inbox = append(to.inbox, arrive)
	}
}

// slowLink is three nodes of which the first leads group 0, and a large append of
// that group on links that do not deliver it, then a small one.
func slowLink(t *testing.T, f Faults) (w *world, leader *testNode, large string, codes map[string]op.Code) {
	t.Helper()
	w = &world{t: t}
	w.cluster(3, 0, 3, Config{SleepTicks: -1, MaxBatch: 4096, Faults: f})
	w.ticks(10)
	w.slow = true
	large, codes = strings.Repeat("x", 8192), make(map[string]op.Code)
	leader = w.nodes[0]
	for _, value := range []string{large, "small"} {
		leader.core.Propose([]Proposal{{Cmd: []byte(value), Done: func(r op.WriteResult) { codes[value] = r.Code }}})
		w.ticks(1)
	}
	return w, leader, large, codes
}

// term is that of a group as its leader knows it; 0: node does not lead it.
func (n *testNode) leads(group int) uint64 {
	if g := n.core.Groups()[group]; g.Leader == n.id {
		return g.Term
	}
	return 0
}

// TestEverythingOvertakesALargeAppend: while one is on its slow way, for longer than
// an election takes, leaders stay, reads are confirmed and other groups go on. What
// follows it in its own group waits, in order.
func TestEverythingOvertakesALargeAppend(t *testing.T) {
	w, leader, large, codes := slowLink(t, Faults{})
	terms := []uint64{w.nodes[0].leads(0), w.nodes[1].leads(1), w.nodes[2].leads(2)}
	if slices.Contains(terms, 0) {
		t.Fatalf("not everybody leads: %v", terms)
	}
	w.ticks(3 * defaultElectionTick)
	read := false
	leader.core.Read([]ReadRequest{{Read: &op.Read{}, Done: func(r op.ReadResult) { read = r.Code == op.OK }}})
	w.ticks(1)
	if !read {
		t.Error("a read waits behind the append")
	}
	other := op.Code(0)
	leader.core.Propose([]Proposal{{Group: 1, Cmd: []byte("?"), Done: func(op.WriteResult) {}}})
	w.nodes[1].core.Propose([]Proposal{{Group: 1, Cmd: []byte("other"), Done: func(r op.WriteResult) { other = r.Code }}})
	w.ticks(4)
	if other != op.OK {
		t.Error("another group waits behind the append")
	}
	if now := []uint64{w.nodes[0].leads(0), w.nodes[1].leads(1), w.nodes[2].leads(2)}; !slices.Equal(now, terms) {
		t.Errorf("leaders did not keep their place: terms %v, then %v", terms, now)
	}
	if len(codes) != 0 {
		t.Errorf("answered before it could be: %v", codes)
	}
	w.slow = false
	for _, arrive := range w.held {
		arrive()
	}
	w.ticks(4)
	if codes[large] != op.OK || codes["small"] != op.OK {
		t.Errorf("answers %v", codes)
	}
	for _, n := range w.nodes {
		if got := n.state[0].values; !slices.Equal(got, []string{large, "small"}) {
			t.Errorf("node %d has %d values", n.id, len(got))
		}
	}
}

// largeSent is how often the large append leaves while it is under way.
func largeSent(t *testing.T, f Faults) (n int) {
	w, leader, _, _ := slowLink(t, f)
	w.ticks(bulkTicks - 4)
	first := leader.bulky[0].First
	for _, b := range leader.bulky {
		if b.First == first {
			n++
		}
	}
	return n
}

// TestALargeAppendLeavesOnce: nothing that would make its receiver ask for it again
// overtakes it.
func TestALargeAppendLeavesOnce(t *testing.T) {
	if n := largeSent(t, Faults{}); n != 2 {
		t.Errorf("the append left %d times, want 2: once to each follower", n)
	}
	if n := largeSent(t, Faults{AppendsOvertake: true}); n == 2 {
		t.Error("with appends that overtake it this test stays green")
	}
}

// TestBulkOfALostTermIsDropped: who does not lead any more has what still waits
// dropped, and what is lost is sent again later.
func TestBulkOfALostTermIsDropped(t *testing.T) {
	w, leader, large, _ := slowLink(t, Faults{})
	term := leader.leads(0)
	leader.cut = true
	if !w.until(200, func() bool { return w.nodes[1].leads(0) > term || w.nodes[2].leads(0) > term }) {
		t.Fatal("nobody takes over")
	}
	for _, to := range []uint64{2, 3} {
		sent := slices.IndexFunc(leader.bulky, func(b Bulk) bool { return b.Group == 0 })
		if !slices.ContainsFunc(leader.dropped, func(b Bulk) bool { return b.Outdates(leader.bulky[sent]) }) {
			t.Errorf("what waits for node %d is kept", to)
		}
	}
	w.held, w.slow, leader.cut = nil, false, false // lost
	next := w.nodes[0]
	if !w.until(200, func() bool {
		for _, n := range w.nodes {
			if n.leads(0) > term {
				next = n
				return true
			}
		}
		return false
	}) {
		t.Fatal("nobody leads")
	}
	if code := w.write(next, large); code != op.OK {
		t.Fatalf("a large write after it: code %d", code)
	}
	if !w.until(200, func() bool {
		return len(w.nodes[0].state[0].values) == 1 && len(w.nodes[1].state[0].values) == 1 && len(w.nodes[2].state[0].values) == 1
	}) {
		t.Error("not all have it")
	}
}

// TestBulkIsBounded: a follower that has missed much gets no more at a time than it
// may have under way.
func TestBulkIsBounded(t *testing.T) {
	w := &world{t: t}
	w.cluster(3, 0, 1, Config{SleepTicks: -1, KeepEntries: 100, KeepBytes: 64 << 20})
	w.ticks(10)
	w.nodes[2].cut = true
	value := strings.Repeat("x", 700<<10)
	for range 20 {
		if code := w.write(w.nodes[0], value); code != op.OK {
			t.Fatalf("write: code %d", code)
		}
	}
	w.slow, w.nodes[2].cut = true, false
	w.nodes[0].bulky = nil
	if !w.until(100, func() bool { return len(w.nodes[0].bulky) > 0 }) {
		t.Fatal("nothing is sent to the follower that is back")
	}
	w.ticks(bulkTicks - 4) // later some would leave once more
	if n := len(w.nodes[0].bulky); n > groupWaiting/(700<<10)+2 {
		t.Errorf("%d appends of %d bytes are under way", n, len(value))
	}
	w.slow = false
	for _, arrive := range w.held {
		arrive()
	}
	if !w.until(300, func() bool { return len(w.nodes[2].state[0].values) == 20 }) {
		t.Errorf("the follower has %d of 20", len(w.nodes[2].state[0].values))
	}
	if p := w.nodes[0].core.peer(3); p.underway != 0 {
		t.Errorf("%d bytes are still counted", p.underway)
	}
}
