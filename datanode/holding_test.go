package datanode

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// gets asks for n objects, by message.
func gets(jid string, n int) []byte {
	doc := &ring.Document{Partitions: 8}
	r := &wire.Request{Epoch: 1}
	for i := range n {
		r.Reads = append(r.Reads, wire.Read{Tag: uint64(i + 1), Partition: doc.Partition("root"), Read: op.Read{Kind: op.Get, Root: "root"}})
	}
	return from(jid, wire.AppendMessage(nil, "dn1@localhost/store", "m1", false, wire.AppendRequest(nil, r)))
}

// TestAnswersAreBounded: reads of a few bytes whose results are large find room for a
// bounded number of them, until answers are sent. What comes then waits.
func TestAnswersAreBounded(t *testing.T) {
	const value, most = 128 << 10, accountAnswers + 129<<10
	held := func(fault bool) int64 {
		n, e, h := testNode(t)
		n.faults.AnswersUnbounded = fault
		e.read = op.ReadResult{Code: op.OK, Objects: []op.Object{{Version: 1, Size: value, Value: make([]byte, value)}}}
		feed(t, h, gets("app@localhost/x", 400))
		c := n.answers.clients[0]
		codes := make(map[op.Code]int)
		for _, d := range c.out.reads {
			codes[d.res.Code]++
			if d.res.Code == op.Overloaded && (d.res.RetryAfter == 0 || d.held != 0) {
				t.Fatalf("refused with %+v", d)
			}
		}
		held := n.answers.held.Load()
		if got := int64(codes[op.OK]) * (value + resultRoom); got != held || c.holding.bytes.Load() != held || n.fair.cost.Load() != held {
			t.Errorf("results of %d bytes; %d held, %d of the account, %d in the queue", got, held, c.holding.bytes.Load(), n.fair.cost.Load())
		}
		if fault {
			return held
		}
		if codes[op.OK]+codes[op.Overloaded] != 400 {
			t.Errorf("answers %v", codes)
		}
		feed(t, h, gets("app@localhost/y", 10)) // another login of the account
		feed(t, h, gets("app@apps.example/z", 10))
		if w := n.fair.waitingOps.Load(); w != 20 {
			t.Errorf("%d reads wait while results fill the window, want 20", w)
		}
		n.answers.flush()
		n.fair.pump()
		n.answers.flush()
		if ops, cost := n.fair.ops.Load(), n.fair.cost.Load(); ops != 0 || cost != 0 || n.answers.held.Load() != 0 || c.holding.bytes.Load() != 0 {
			t.Errorf("with everything sent %d operations are under way, %d bytes counted", ops, cost)
		}
		if c.expect() < value/2 {
			t.Errorf("after all that a result of %d bytes is expected", c.expect())
		}
		return held
	}
	if n := held(false); n > most {
		t.Errorf("%d bytes of results are held; the bound is %d", n, most)
	}
	if n := held(true); n <= most {
		t.Error("the seeded fault was not noticed")
	}
}

// TestReadsCountForTheirResults: who reads much gets his share of bytes, not of reads.
func TestReadsCountForTheirResults(t *testing.T) {
	n, e, h := testNode(t)
	e.read = op.ReadResult{Code: op.OK, Objects: []op.Object{{Version: 1, Size: 64 << 10, Value: make([]byte, 64<<10)}}}
	for range 8 {
		feed(t, h, gets("app@localhost/x", 10))
		n.answers.flush()
	}
	c := h.clients["app@localhost/x"]
	n.fair.entered(windowBytes + 1) // something else fills the window
	feed(t, h, gets("app@localhost/x", 10))
	if cost := n.fair.waitCosts.Load(); cost < 10*c.expect() || c.expect() < 60<<10 {
		t.Errorf("10 reads of 64 KiB wait and count for %d bytes", cost)
	}
	if b := n.fair.bytes; b != 10*opCost {
		t.Errorf("what waits is counted as %d bytes in memory", b)
	}
	n.fair.ended(windowBytes + 1)
	n.fair.pump()
	n.answers.flush()
	if ops, cost := n.fair.ops.Load(), n.fair.cost.Load(); ops != 0 || cost != 0 {
		t.Errorf("%d operations, %d bytes are still counted", ops, cost)
	}
}
