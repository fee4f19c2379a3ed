package datanode

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// slowEngine keeps what is proposed until it is told to answer the oldest.
type slowEngine struct {
	fakeEngine
	open []replication.Proposal
	seen map[string]int // proposals by account, which is the command
}

func (e *slowEngine) ProposeBatch(ps []replication.Proposal) {
	e.open = append(e.open, ps...)
	for _, p := range ps {
		e.seen[string(p.Cmd[:1])]++
	}
}

func (e *slowEngine) answer(n int) {
	n = min(n, len(e.open))
	done := e.open[:n]
	e.open = e.open[n:]
	for _, p := range done {
		p.Done(op.WriteResult{Code: op.OK})
	}
}

// load drives a fair by hand.
type load struct {
	f       *fair
	e       *slowEngine
	refused map[string]int
	done    map[string]int
}

func newLoad(fifo bool) *load {
	l := &load{f: &fair{fifo: fifo}, e: &slowEngine{seen: make(map[string]int)}, refused: make(map[string]int), done: make(map[string]int)}
	l.f.init(l.e, func(string) {})
	return l
}

// send submits n commands of size bytes in one wake-up.
func (l *load) send(name string, n, size int) {
	var ps []replication.Proposal
	var by []asker
	for range n {
		cmd := make([]byte, size)
		cmd[0] = name[0]
		l.f.entered(proposalCost(cmd))
		by = append(by, asker{&client{bare: name}, proposalCost(cmd)})
		ps = append(ps, replication.Proposal{Cmd: cmd, Done: func(r op.WriteResult) {
			l.f.ended(proposalCost(cmd))
			if r.Code == op.Overloaded {
				if r.RetryAfter == 0 {
					panic("no hint when to ask again")
				}
				l.refused[name]++
				return
			}
			l.done[name]++
		}})
	}
	l.f.submit(ps, by, nil, nil)
}

// turn answers n operations and passes on what that makes room for.
func (l *load) turn(n int) {
	l.e.answer(n)
	select {
	case <-l.f.wake:
		l.f.pump()
	default:
	}
}

func (l *load) drain() {
	for len(l.e.open) > 0 {
		l.turn(512)
	}
}

// TestAFloodWaitsForItself: next to an account that floods, one that sends one
// operation at a time has each of them taken within one turn, and none refused.
// The seeded fault is one queue for all.
func TestAFloodWaitsForItself(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		l := newLoad(fifo)
		l.send("flood", 2*accountOps, 100)
		late := 0
		for i := range 100 {
			l.send("flood", 200, 100)
			before := l.done["polite"] + l.refused["polite"]
			l.send("polite", 1, 100)
			// All that the engine has is answered: then the next turn is over too.
			for range 2 {
				l.turn(len(l.e.open))
			}
			if l.done["polite"]+l.refused["polite"] == before {
				late++
			}
			if !fifo && l.done["polite"] != i+1 {
				t.Fatalf("operation %d of the polite account: %d done, %d refused", i+1, l.done["polite"], l.refused["polite"])
			}
		}
		if fifo && late+l.refused["polite"] == 0 {
			t.Error("the seeded fault (one queue for all) goes unnoticed")
		}
		if !fifo && l.refused["flood"] == 0 {
			t.Error("the flood is not refused anything")
		}
		l.drain()
		if l.f.ops.Load() != 0 || l.f.cost.Load() != 0 || l.f.waitingOps.Load() != 0 || l.f.waitCosts.Load() != 0 || len(l.f.accounts) != 0 {
			t.Errorf("left over: %d operations of %d bytes, %d waiting of %d, %d accounts",
				l.f.ops.Load(), l.f.cost.Load(), l.f.waitingOps.Load(), l.f.waitCosts.Load(), len(l.f.accounts))
		}
	}
}

// TestSharesAreOfBytes: of two accounts that always have something waiting each
// gets half of the bytes, whatever the size of its operations.
func TestSharesAreOfBytes(t *testing.T) {
	l := newLoad(false)
	l.send("x", windowOps+1, 100) // from here on there are queues
	for range 8 {
		l.send("big", 50, 40<<10)
		l.send("small", 1000, 488)
	}
	l.turn(len(l.e.open))
	before := map[string]int{"b": l.e.seen["b"], "s": l.e.seen["s"]}
	for range 10 {
		l.send("big", 100, 40<<10)
		l.send("small", 2500, 488)
		l.turn(len(l.e.open))
	}
	big := float64((l.e.seen["b"] - before["b"]) * (40<<10 + opCost))
	small := float64((l.e.seen["s"] - before["s"]) * (488 + opCost))
	if big == 0 || small == 0 || big/small > 1.2 || small/big > 1.2 {
		t.Errorf("%.0f bytes of the one, %.0f of the other", big, small)
	}
}

// TestNoQueueWithoutLoad: what the engine has room for goes straight on.
func TestNoQueueWithoutLoad(t *testing.T) {
	l := newLoad(false)
	l.send("a", windowOps, 10)
	if len(l.e.open) != windowOps || l.f.waitingOps.Load() != 0 {
		t.Fatalf("%d with the engine, %d wait", len(l.e.open), l.f.waitingOps.Load())
	}
	l.send("b", 1, 10)
	if l.f.waitingOps.Load() != 1 {
		t.Fatalf("%d wait above the window", l.f.waitingOps.Load())
	}
	l.f.end()
	if len(l.e.open) != windowOps+1 {
		t.Fatal("what waits at the end is not passed on to be refused")
	}
}

// TestFloodIsRefusedThroughTheHandler: the same from the stanza to the answer.
func TestFloodIsRefusedThroughTheHandler(t *testing.T) {
	n, e, h := testNode(t)
	e.slow = true
	for range 20 {
		feed(t, h, writes(1000, "root", 10))
	}
	if len(e.kept) != windowOps {
		t.Errorf("%d operations are with the engine; want the window, %d", len(e.kept), windowOps)
	}
	codes := make(map[op.Code]int)
	for _, w := range n.answers.clients[0].out.writes {
		codes[w.res.Code]++
		if w.res.Code == op.Overloaded && w.res.RetryAfter == 0 {
			t.Fatal("refused without a hint")
		}
	}
	if want := 20*1000 - windowOps - accountOps; codes[op.Overloaded] != want || len(codes) != 1 {
		t.Errorf("answers %v; want %d of %d", codes, want, op.Overloaded)
	}
}

// TestIndexedWritesTakeTurns: small writes that make much in an index fill the window by what they make, so those of another
// account come between; and they wait by what they take themselves, none is refused. The planted mistake is to count the
// commands only.
func TestIndexedWritesTakeTurns(t *testing.T) {
	for _, planted := range []bool{false, true} {
		n, e, h := testNode(t)
		n.faults.IndexesFree, e.slow = planted, true
		doc := testRing(t)
		for i := range uint32(8) {
			doc.Indexes = append(doc.Indexes, ring.Index{ID: i + 1, Name: fmt.Sprint("by-n", i), Prefix: "root", Path: "*", Field: "n"})
		}
		doc.Epoch = 8
		if err := n.publish(doc); err != nil {
			t.Fatal(err)
		}
		value := []byte(`{"n":[` + strings.Repeat("1,", 255) + `2]}`)
		write := func(jid, root string, count int) {
			r := &wire.Request{Epoch: 1}
			for i := range count {
				r.Writes = append(r.Writes, wire.Write{Tag: uint64(i + 1), Partition: doc.Partition(root), Write: op.Write{
					Root: root, Session: 5, Seq: uint64(i + 1), Floor: 1,
					Mutations: []op.Mutation{{Kind: op.Put, Path: strings.Repeat("p", 1000) + fmt.Sprint(i), Value: value}},
				}})
			}
			feed(t, h, from(jid, wire.AppendMessage(nil, "dn1@localhost/store", "m1", false, wire.AppendRequest(nil, r))))
		}
		for range 3 {
			write("app@localhost/x", "root", 100) // the first wake-up passes whole
		}
		const each = 8 * 32 << 10
		if got, most := len(e.kept), 100+windowBytes/each; (got > most) != planted {
			t.Errorf("planted %v: %d writes of 256 KiB of entries each are with the engine", planted, got)
		}
		if planted {
			continue
		}
		if waits := n.fair.waitingOps.Load(); int(waits)+len(e.kept) != 300 || len(n.answers.clients) != 0 {
			t.Errorf("%d wait, %d are with the engine, %d clients are answered", waits, len(e.kept), len(n.answers.clients))
		}
		at := len(e.kept)
		write("app@apps.example/z", "other", 1)
		for _, p := range e.kept[:at] {
			p.Done(op.WriteResult{Code: op.OK})
		}
		n.fair.pump()
		behind := slices.IndexFunc(e.kept[at:], func(p replication.Proposal) bool { return p.Group == doc.Partition("other") })
		if behind < 0 || behind > 1 {
			t.Errorf("the other account's write comes %d writes behind", behind)
		}
		for len(e.kept) > at {
			next := e.kept[at:]
			at = len(e.kept)
			for _, p := range next {
				p.Done(op.WriteResult{Code: op.OK})
			}
			n.fair.pump()
		}
		if f := &n.fair; f.ops.Load() != 0 || f.cost.Load() != 0 || f.waitingOps.Load() != 0 || f.waitCosts.Load() != 0 || f.bytes != 0 {
			t.Errorf("left: %d operations of %d bytes, %d waiting of %d", f.ops.Load(), f.cost.Load(), f.waitingOps.Load(), f.waitCosts.Load())
		}
	}
}

func TestTooManyWatchesOfAClient(t *testing.T) {
	n, e, h := testNode(t)
	tag := uint64(0)
	changes := func(jid string, count int) []byte {
		doc := &ring.Document{Partitions: 8}
		r := &wire.Request{Epoch: 1}
		for range count {
			tag++
			r.Reads = append(r.Reads, wire.Read{Tag: tag, Partition: doc.Partition("root"), Read: op.Read{Kind: op.Changes, Root: "root", Wait: 1000}})
		}
		return from(jid, wire.AppendMessage(nil, "dn1@localhost/store", "m1", false, wire.AppendRequest(nil, r)))
	}
	for range maxWatches / 1024 {
		feed(t, h, changes("app@localhost/x", 1024))
	}
	feed(t, h, changes("app@localhost/x", 5))
	out := n.answers.clients[0].out.reads
	if len(e.held) != maxWatches || len(out) != 5 || out[0].res.Code != op.Overloaded || out[0].res.RetryAfter == 0 {
		t.Fatalf("%d wait, %d answers", len(e.held), len(out))
	}
	feed(t, h, changes("app@localhost/y", 1))
	if len(e.held) != maxWatches+1 {
		t.Error("another client is refused")
	}
	e.Cancel(e.held[0].Owner, []uint64{e.held[0].Tag})
	feed(t, h, changes("app@localhost/x", 1))
	if len(e.held) != maxWatches+1 {
		t.Error("room is not given back")
	}
	off := &wire.Request{Epoch: 1, Cancels: []uint64{2, 3, 1 << 40}}
	feed(t, h, from("app@localhost/z", wire.AppendMessage(nil, "dn1@localhost/store", "m2", false, wire.AppendRequest(nil, off))))
	if len(e.held) != maxWatches+1 {
		t.Error("a client calls off another's reads")
	}
	feed(t, h, from("app@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", "m2", false, wire.AppendRequest(nil, off))))
	feed(t, h, changes("app@localhost/x", 2))
	if c := h.clients["app@localhost/x"]; len(e.held) != maxWatches+1 || c.watches.Load() != maxWatches {
		t.Errorf("after two were called off and two asked: %d wait, %d of the client", len(e.held), c.watches.Load())
	}
	id := h.clients["app@localhost/x"].id
	feed(t, h, from("app@localhost/x", []byte(`<presence type='unavailable'/>`)))
	if len(e.forgotten) != 1 || e.forgotten[0] != id || h.clients["app@localhost/x"] != nil {
		t.Errorf("a client that has gone: forgot %v, want %d", e.forgotten, id)
	}
}

// BenchmarkWatches measures what reads of changes that wait take of a node's memory
// outside of the engine.
func BenchmarkWatches(b *testing.B) {
	n, e, h := testNode(b)
	const each = 256
	before := allocated()
	for i := range b.N {
		r := &wire.Request{Epoch: 1}
		for k := range each {
			r.Reads = append(r.Reads, wire.Read{Tag: uint64(i*each + k + 1), Partition: uint32(k % 8), Read: op.Read{Kind: op.Changes, Prefix: "users/", Wait: 60_000, Limit: 64, Values: true}})
		}
		feed(b, h, from(fmt.Sprintf("app@localhost/%d", i), wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, r))))
		for k := range e.held[i*each:] {
			e.held[i*each+k].Read = nil // the engine has its own
		}
	}
	b.ReportMetric(float64(allocated()-before)/float64(each*b.N), "B/watch")
	runtime.KeepAlive(n)
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestTooManySessionsOfAnAccount(t *testing.T) {
	for wait, want := range map[int64]op.Code{0: op.OK, 1234: op.Overloaded} {
		n, e, h := testNode(t)
		e.openWait = wait
		r := &wire.Request{Epoch: 1, Opens: []wire.Open{{Tag: 1, Partition: 3}}}
		feed(t, h, from("app@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, r))))
		if got := n.answers.clients[0].out.writes[0].res; got.Code != want || got.RetryAfter != wait {
			t.Errorf("a place in %d ms: %+v", wait, got)
		}
	}
}
