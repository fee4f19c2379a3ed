package datanode

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
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
			end := time.Now().Add(time.Minute)
			for full := false; !full; time.Sleep(time.Millisecond) { // until it waits
				if time.Now().After(end) {
					t.Fatal("the queue does not fill up")
				}
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

// TestRefusedPartsAreNoMistake: where parts of a request were refused, since too much waited, the others go back to come
// again later, too; and sent again whole it is taken. The planted mistake is to take them for malformed.
func TestRefusedPartsAreNoMistake(t *testing.T) {
	for _, planted := range []bool{false, true} {
		n, e, h := testNode(t)
		n.faults.GapsAreMistakes = planted
		send := func(id string) (parts int) {
			req := wire.AppendRequest(nil, &wire.Request{Epoch: 1, Writes: []wire.Write{{
				Tag: 1, Partition: (&ring.Document{Partitions: 8}).Partition("root"),
				Write: op.Write{Root: "root", Session: 5, Seq: 1, Floor: 1, Mutations: []op.Mutation{{Kind: op.Put, Value: make([]byte, 200<<10)}}},
			}}})
			for _, part := range wire.Split(req, 64<<10, id) {
				st, _, err := stanza.NewScanner(stanza.Limits{}).Next(from("app@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", id, false, part)))
				if err != nil {
					t.Fatal(err)
				}
				h.Stanza(nil, st)
				for parts++; len(h.parts.others.turns) > 0; {
					if p, _ := h.parts.others.take(); p.client.holding != nil { // else it is of what fills the queue
						h.parts.fromClient(p)
					}
				}
			}
			return parts
		}
		for size := 1 << 20; size > 1<<10; size /= 2 { // until the first part has no room
			for h.parts.others.put(largeStanza("app@localhost", size), false) {
			}
		}
		parts := uint64(send("b1"))
		later, malformed := n.refusals.counts[refusedFlood].Load(), n.refusals.counts[refusedStanza].Load()
		if (malformed > 0) != planted || later+malformed != parts || parts < 3 || later == 0 {
			t.Errorf("planted %v: of %d parts %d are to come again, %d are refused as malformed", planted, parts, later, malformed)
		}
		if send("b2"); e.proposals != 1 {
			t.Errorf("sent again: %d proposals", e.proposals)
		}
	}
}

// TestChangesTakeTurns: a client that asks for changes faster than they are looked at waits for itself, and is refused with
// a hint when too many wait; those of others come between. The planted mistake is to let them pass.
func TestChangesTakeTurns(t *testing.T) {
	for _, planted := range []bool{false, true} {
		n, e, h := testNode(t)
		n.faults.ChangesPass, e.slow = planted, true
		tag := uint64(0)
		ask := func(jid string, count int) {
			r := &wire.Request{Epoch: 1}
			for range count {
				tag++
				r.Reads = append(r.Reads, wire.Read{Tag: tag, Partition: (&ring.Document{Partitions: 8}).Partition("root"), Read: op.Read{Kind: op.Changes, Root: "root", Wait: 60_000}})
			}
			feed(t, h, from(jid, wire.AppendMessage(nil, "dn1@localhost/store", "m1", false, wire.AppendRequest(nil, r))))
		}
		const refused = 1000
		for range (windowOps + accountOps + refused) / 940 {
			ask("app@localhost/x", 940)
		}
		ask("app@localhost/x", (windowOps+accountOps+refused)%940)
		if (len(e.held) == windowOps) == planted {
			t.Errorf("planted %v: %d reads of the flood are with the engine; the window has %d", planted, len(e.held), windowOps)
		}
		if planted {
			continue
		}
		out := n.answers.clients[0].out.reads
		for _, d := range out {
			if d.res.Code != op.Unavailable || d.res.RetryAfter == 0 {
				t.Fatalf("refused with %+v", d.res)
			}
		}
		if len(out) != refused {
			t.Errorf("%d are refused; want %d", len(out), refused)
		}
		ask("app@apps.example/z", 1)
		polite := tag
		begin := func(reads []replication.ReadRequest) {
			for _, r := range reads {
				r.Parked()
			}
			n.fair.pump()
		}
		begin(e.held) // all that the engine has
		if !slices.ContainsFunc(e.held, func(r replication.ReadRequest) bool { return r.Tag == polite }) {
			t.Error("another client's waits for more than a turn of the flood")
		}
		at := windowOps
		off := e.held[len(e.held)-1].Tag + 1 // the next of the flood that waits
		feed(t, h, from("app@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", "m2", false, wire.AppendRequest(nil, &wire.Request{Epoch: 1, Cancels: []uint64{off}}))))
		for at < len(e.held) {
			next := e.held[at:]
			at = len(e.held)
			begin(next)
		}
		for _, r := range e.held {
			if (r.Read.Wait == 0) != (r.Tag == off) {
				t.Errorf("read %d, of which %d is called off, waits for %d ms", r.Tag, off, r.Read.Wait)
			}
			r.Done(op.ReadResult{Code: op.OK})
		}
		if f := &n.fair; len(e.held) != windowOps+accountOps+1 || f.ops.Load() != 0 || f.cost.Load() != 0 || f.waitingOps.Load() != 0 {
			t.Errorf("%d came to the engine; %d operations of %d bytes are left, %d wait", len(e.held), f.ops.Load(), f.cost.Load(), f.waitingOps.Load())
		}
	}
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
	if !h.tooMuch(nil, c, st) || n.refusals.counts[refusedFlood].Load() != 1 {
		t.Error("a client that is not told what it asked for may ask for more")
	}
	c.unsent.Store(maxUnsent - 1)
	if h.tooMuch(nil, c, st) {
		t.Error("refused below the bound")
	}
}
