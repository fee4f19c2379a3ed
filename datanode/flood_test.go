package datanode

import (
	"fmt"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// largeStanza is one that waits for the assembly.
func largeStanza(bare string, size int) partStanza {
	return partStanza{st: &stanza.Stanza{Raw: make([]byte, size)}, client: &client{bare: bare, jid: bare + "/x"}}
}

// TestLargeStanzasTakeTurns: the large stanzas of an account that floods are refused when too many wait; those of others
// are read between them.
func TestLargeStanzasTakeTurns(t *testing.T) {
	var q largeQueue
	q.init()
	const size = 1 << 20
	flood := 0
	for q.put(largeStanza("app@d", size), false) {
		flood++
	}
	if flood != accountLarge/(size+opCost) {
		t.Errorf("%d stanzas of 1 MiB wait of one account", flood)
	}
	if !q.put(largeStanza("polite@d", size), false) {
		t.Fatal("another account's is refused")
	}
	if !q.put(partStanza{gone: "app@d/x"}, false) {
		t.Error("the word that somebody has gone is answered")
	}
	at := 0
	for q.close(); ; at++ {
		p, ok := q.take()
		if !ok {
			break
		}
		if p.account() == "polite@d" && at > 1 {
			t.Errorf("the other account's came behind %d of the flood", at)
		}
	}
	if at != flood+2 || q.bytes != 0 || len(q.accounts) != 0 {
		t.Errorf("%d of %d came; %d bytes, %d accounts are left", at, flood+2, q.bytes, len(q.accounts))
	}
	for i := range nodeLarge / size {
		q.put(largeStanza(fmt.Sprintf("app%d@d", i), size), false)
	}
	if q.put(largeStanza("polite@d", size), false) || q.bytes > nodeLarge {
		t.Errorf("%d bytes wait of all", q.bytes)
	}
}

// TestReadLoopDoesNotWait: nobody reads what is large, and the read loop goes on with what is urgent. The planted mistake
// is a read loop that waits for room.
func TestReadLoopDoesNotWait(t *testing.T) {
	for _, planted := range []bool{false, true} {
		n, e, h := testNode(t)
		n.faults.ReadLoopWaits = planted
		value := make([]byte, asideFrom)
		large := from("app@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", "m1", false, wire.AppendRequest(nil, &wire.Request{
			Epoch: 1, Writes: []wire.Write{{Tag: 1, Write: op.Write{Root: "root", Session: 1, Seq: 1, Mutations: []op.Mutation{{Kind: op.Put, Value: value}}}}},
		})))
		through := make(chan struct{})
		go func() {
			defer close(through)
			for range assemblyWaits + 1 {
				give(t, h, large)
			}
			give(t, h, from("dn2@localhost/store", raftMessage(2, testMember(2).Store)))
		}()
		if planted {
			for full := false; !full; time.Sleep(time.Millisecond) { // until it waits
				h.parts.others.mu.Lock()
				full = len(h.parts.others.turns) > 0 && len(h.parts.others.turns[0].stanzas) == assemblyWaits
				h.parts.others.mu.Unlock()
			}
			select {
			case <-through:
				t.Error("the planted mistake was not noticed")
			case <-time.After(20 * time.Millisecond):
			}
			_, _ = h.parts.others.take()
			<-through
			continue
		}
		select {
		case <-through:
		case <-time.After(time.Minute):
			t.Fatal("the read loop waits")
		}
		if len(e.batches) != 1 {
			t.Errorf("%d batches of peers were received", len(e.batches))
		}
	}
}

// give hands one stanza to the read loop.
func give(t *testing.T, h *handler, raw []byte) {
	st, _, err := stanza.NewScanner(stanza.Limits{}).Next(raw)
	if err != nil || st == nil {
		t.Errorf("not a stanza: %v", err)
		return
	}
	h.Stanza(nil, st)
}

// TestAnswersTakeTurns: a client with many large answers has others told between them. The planted mistake is to tell it
// all at once.
func TestAnswersTakeTurns(t *testing.T) {
	for _, planted := range []bool{false, true} {
		n, e, h := testNode(t)
		n.faults.AnswersAhead = planted
		e.read = op.ReadResult{Code: op.OK, Objects: []op.Object{{Version: 1, Size: 100 << 10, Value: make([]byte, 100<<10)}}}
		for range 10 {
			feed(t, h, gets("app@localhost/x", 1))
			feed(t, h, readIQOf("app@localhost/x", "root"))
		}
		feed(t, h, gets("app@apps.example/z", 1))
		flood, polite := h.clients["app@localhost/x"], h.clients["app@apps.example/z"]
		left := 0 // of the flood's results, when the other's is told
		for polite.unsent.Load() > 0 {
			a := &n.answers
			c := a.clients[0]
			a.clients = a.clients[1:]
			a.turn(c)
			left = int(flood.unsent.Load())
		}
		if (left == 0) != planted {
			t.Errorf("planted %v: %d of 20 results of the flood were left when another client was told its own", planted, left)
		}
		n.answers.flush()
		if flood.unsent.Load() != 0 || n.answers.held.Load() != 0 || len(n.answers.clients) != 0 {
			t.Errorf("%d results, %d bytes are not sent in the end", flood.unsent.Load(), n.answers.held.Load())
		}
	}
}

// readIQOf asks for an object by IQ.
func readIQOf(jid, root string) []byte {
	r := &wire.Request{Epoch: 1, Reads: []wire.Read{{Tag: 1, Partition: (&ring.Document{Partitions: 8}).Partition(root), Read: op.Read{Kind: op.Get, Root: root}}}}
	return from(jid, wire.AppendIQ(nil, "dn1@localhost/store", "q1", "get", wire.AppendRequest(nil, r)))
}

// TestTooMuchUntold: a client that has many results coming is not looked at further.
func TestTooMuchUntold(t *testing.T) {
	n, _, h := testNode(t)
	feed(t, h, writes(10, "root", 1))
	c := h.clients["app@localhost/x"]
	if c == nil || c.unsent.Load() == 0 {
		t.Fatalf("%d results wait", c.unsent.Load())
	}
	c.unsent.Store(maxUnsent)
	st, _, err := stanza.NewScanner(stanza.Limits{}).Next(readIQOf(c.jid, "root"))
	if err != nil {
		t.Fatal(err)
	}
	if !h.tooMuch(nil, c, st) || n.counts.refused[refusedFlood].Load() != 1 {
		t.Error("a client that is not told what it asked for may ask for more")
	}
	c.unsent.Store(maxUnsent - 1)
	if h.tooMuch(nil, c, st) {
		t.Error("refused below the bound")
	}
}
