package datanode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// fakeEngine answers every proposal at once and notes what it is told.
type fakeEngine struct {
	mu        sync.Mutex
	batches   []uint64 // senders
	down, up  []uint64
	proposals int
	calls     int // of ProposeBatch
	reconcile error
	ringErr   error
	expected  []uint64 // epochs of ring documents that were to be replaced
	owner     string   // of every session; "" for unknown
	openWait  int64
	read      op.ReadResult // of every read; without code: an object
	parts     map[uint32]*state.Partition
	scrubs    []uint32
	forgotten []uint64
	logTime   int64
	held      []replication.ReadRequest // of changes, unanswered
	last      []byte                    // command proposed
	slow      bool                      // keeps proposals
	kept      []replication.Proposal
	mixed     bool   // peers send what it cannot read
	confirms  uint64 // member with whom reads can be confirmed
	terms     map[uint32]uint64
}

func (e *fakeEngine) Reconcile(*ring.Document) error { return e.reconcile }
func (e *fakeEngine) Receive(from uint64, _ []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.batches = append(e.batches, from)
}

func (e *fakeEngine) ProposeBatch(ps []replication.Proposal) {
	e.calls++
	e.proposals += len(ps)
	for _, p := range ps {
		e.last = p.Cmd
		if e.slow {
			e.kept = append(e.kept, p)
			continue
		}
		p.Done(op.WriteResult{Code: op.OK, Revision: 1, Items: []op.Item{{Code: op.OK, Version: 1}}})
	}
}

func (e *fakeEngine) ProposeRing(_ context.Context, expect uint64, _ *ring.Document) error {
	e.expected = append(e.expected, expect)
	return e.ringErr
}

func (e *fakeEngine) Read(rs []replication.ReadRequest) {
	for _, r := range rs {
		if r.Read.Kind == op.Changes {
			e.held = append(e.held, r)
			if !e.slow && r.Parked != nil {
				r.Parked()
			}
			continue
		}
		if e.read.Code != 0 {
			r.Done(e.read)
			continue
		}
		r.Done(op.ReadResult{Code: op.OK, Objects: []op.Object{{Path: r.Read.Path, Version: 1, Size: 3, Value: []byte("abc")}}})
	}
}

func (e *fakeEngine) SetLow(bool)                    {}
func (e *fakeEngine) LeaderOf(uint32) (uint64, bool) { return 1, true }
func (e *fakeEngine) SessionOwner(uint32, op.Session) (string, bool) {
	return e.owner, e.owner != ""
}

func (e *fakeEngine) ReadConfirmedBy(member uint64, _ uint32, r *op.Read) (op.ReadResult, uint64) {
	if member != e.confirms {
		return op.ReadResult{}, 0
	}
	return op.ReadResult{Code: op.OK, Objects: []op.Object{{Path: r.Path, Version: 1}}}, 7
}

func (e *fakeEngine) Term(group uint32) uint64 { return e.terms[group] }

func (e *fakeEngine) OpenWait(uint32, string, int64) int64 { return e.openWait }
func (e *fakeEngine) Forget(owner uint64)                  { e.forgotten = append(e.forgotten, owner) }

func (e *fakeEngine) Cancel(owner uint64, tags []uint64) {
	for _, tag := range tags {
		for i, r := range e.held {
			if r.Owner == owner && r.Tag == tag {
				e.held = append(e.held[:i:i], e.held[i+1:]...)
				r.Done(op.ReadResult{Code: op.OK})
				break
			}
		}
	}
}
func (e *fakeEngine) LogTime() int64 { return e.logTime }

func (e *fakeEngine) CutAt(p uint32, t int64, take func(*state.Picture, error)) error {
	part := e.parts[p]
	if part == nil {
		return replication.ErrNotHeld
	}
	return part.CutAt(t, take)
}

func (e *fakeEngine) PeerDown(m uint64) { e.down = append(e.down, m) }
func (e *fakeEngine) PeerUp(m uint64)   { e.up = append(e.up, m) }
func (e *fakeEngine) Scrub(groups ...uint32) int {
	e.scrubs = append(e.scrubs, groups...)
	return len(groups)
}

func (e *fakeEngine) ScrubState(groups ...uint32) (s replication.ScrubState) {
	for _, g := range groups {
		s.Results = append(s.Results, replication.ScrubResult{Scrub: core.Scrub{Group: g, Index: 9, Voters: 3, Told: 3}})
	}
	return s
}
func (e *fakeEngine) Status() replication.Status        { return replication.Status{} }
func (e *fakeEngine) Mixed() bool                       { return e.mixed }
func (e *fakeEngine) Groups() []replication.GroupStatus { return nil }
func (e *fakeEngine) ReadyIndexes() map[uint32]int      { return nil }
func (e *fakeEngine) Close() error                      { return nil }

const testCluster = "6f1a2b3c-0000-4000-8000-000000000001"

func testMember(i int) ring.Member {
	return ring.Member{
		ID: uint64(i), JID: fmt.Sprintf("dn%d@localhost/store", i),
		Store: fmt.Sprintf("00000000-0000-4000-8000-%012x", i), State: ring.Active,
	}
}

func testRing(t testing.TB) *ring.Document {
	t.Helper()
	doc, err := ring.New([]ring.Member{testMember(1), testMember(2), testMember(3)}, ring.Options{Cluster: testCluster, Partitions: 8})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// testNode is member 1 without a stream and without a disk.
func testNode(t testing.TB) (*Node, *fakeEngine, *handler) {
	t.Helper()
	cfg := Config{
		Dir: t.TempDir(), Operators: []string{"operator@localhost"}, Apps: []string{"app@localhost", "*@apps.example"},
		DiskSpace: func(string) (uint64, uint64, error) { return 1 << 40, 1 << 40, nil },
	}
	cfg.XMPP.JID = "dn1@localhost"
	r, jid, err := cfg.check()
	if err != nil {
		t.Fatal(err)
	}
	e := &fakeEngine{}
	n := &Node{
		cfg: cfg, roles: r, jid: jid, full: jid.String(), store: testMember(1).Store,
		log: slog.New(slog.DiscardHandler), engine: e, tasks: make(chan func(context.Context), 64), sighted: make(chan struct{}, 1),
	}
	n.disk = disk{dir: cfg.Dir, space: cfg.DiskSpace}
	n.hot.init(time.Now())
	n.answers.init(n)
	n.announcer.init(n)
	n.refusals.init(n.log, &n.faults)
	n.fair.init(e, n.flooded)
	if err := n.publish(testRing(t)); err != nil {
		t.Fatal(err)
	}
	return n, e, newHandler(n, 0)
}

// feed gives stanzas to the handler as the read loop does.
func feed(t testing.TB, h *handler, raw []byte) {
	t.Helper()
	s := stanza.NewScanner(stanza.Limits{})
	for len(raw) > 0 {
		st, used, err := s.Next(raw)
		if err != nil || st == nil {
			t.Fatalf("not a stanza: %v", err)
		}
		h.Stanza(nil, st)
		for len(h.parts.others.turns) > 0 {
			p, _ := h.parts.others.take()
			h.parts.fromClient(p)
		}
		for len(h.parts.peers) > 0 {
			h.parts.fromPeer(<-h.parts.peers)
		}
		raw = raw[used:]
	}
	h.Idle(nil)
}

// from puts the address that the server stamps into a stanza.
func from(jid string, raw []byte) []byte {
	i := bytes.IndexByte(raw, ' ')
	return append([]byte(string(raw[:i])+" from='"+jid+"'"), raw[i:]...)
}

func raftMessage(member uint64, store string) []byte {
	return wire.AppendMessage(nil, "dn1@localhost/store", "", false, wire.AppendRaft(nil, member, store, []byte("batch")))
}

// TestOnlyMembersVote: a Raft batch counts only with the address, the id and the
// store that the ring has for its sender. The seeded fault is a node that
// believes the id alone.
func TestOnlyMembersVote(t *testing.T) {
	two, three := testMember(2), testMember(3)
	wiped := "99999999-0000-4000-8000-000000000002"
	cases := []struct {
		name, jid string
		member    uint64
		store     string
		taken     bool
	}{
		{"the member", two.JID, 2, two.Store, true},
		{"its wiped disk", two.JID, 2, wiped, false},
		{"another member under its id", three.JID, 2, two.Store, false},
		{"another resource of its account", "dn2@localhost/phone", 2, two.Store, false},
		{"an application", "app@localhost/x", 2, two.Store, false},
		{"itself", "dn1@localhost/store", 1, testMember(1).Store, false},
		{"nobody", "", 2, two.Store, false},
	}
	for _, fault := range []bool{false, true} {
		wrong := 0
		for _, c := range cases {
			n, e, h := testNode(t)
			n.faults.AnyStore = fault
			feed(t, h, from(c.jid, raftMessage(c.member, c.store)))
			if taken := len(e.batches) == 1; taken != c.taken {
				wrong++
				if !fault {
					t.Errorf("%s: taken %v", c.name, taken)
				}
			}
		}
		if fault && wrong == 0 {
			t.Error("the seeded fault (wiped disk taken for the old member) goes unnoticed")
		}
	}
}

func TestPresenceHints(t *testing.T) {
	n, e, h := testNode(t)
	two := testMember(2)
	health := func(store, state string, epoch uint64) []byte {
		return from(two.JID, []byte(`<presence >`+string(wire.AppendHealth(nil, &wire.Health{Member: 2, Store: store, State: state, Epoch: epoch, Cluster: testCluster}))+`</presence>`))
	}
	feed(t, h, health(two.Store, wire.StateOK, 1))
	if len(e.up) != 1 || e.up[0] != 2 {
		t.Fatalf("up: %v", e.up)
	}
	feed(t, h, from(two.JID, []byte(`<presence type='unavailable'/>`)))
	feed(t, h, from(two.JID, []byte(`<presence type='unavailable'/>`)))
	if len(e.down) != 1 || e.down[0] != 2 {
		t.Fatalf("down is told once: %v", e.down)
	}
	if !n.view.Load().peers[2].away.Load() {
		t.Fatal("peer not marked")
	}
	feed(t, h, from(two.JID, raftMessage(2, two.Store)))
	if len(e.up) != 2 || n.view.Load().peers[2].away.Load() {
		t.Fatal("a batch is proof that the peer is there, whatever presence says")
	}
	feed(t, h, health("99999999-0000-4000-8000-000000000002", wire.StateStranger, 0))
	if len(e.down) != 2 {
		t.Fatal("a stranger under a member's name means that the member is gone")
	}
	feed(t, h, health(two.Store, wire.StateOK, 7))
	if n.wanted.Load() != 7 || len(n.tasks) == 0 {
		t.Fatal("a newer epoch in presence is not fetched")
	}
	feed(t, h, from("app@localhost/x", []byte(`<presence type='unavailable'/>`)))
	if len(e.down) != 2 {
		t.Fatal("an application's presence is no hint")
	}
}

func TestBouncedBatchIsAHint(t *testing.T) {
	_, e, h := testNode(t)
	bounce := func(condition string) []byte {
		return from(testMember(3).JID, []byte(`<message type='error'><error type='cancel'><`+condition+` xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`))
	}
	feed(t, h, bounce("resource-constraint"))
	if len(e.down) != 0 {
		t.Fatal("an overloaded server is no dead member")
	}
	feed(t, h, bounce("service-unavailable"))
	if len(e.down) != 1 || e.down[0] != 3 {
		t.Fatalf("down: %v", e.down)
	}
}

func writes(n int, root string, size int) []byte {
	doc := &ring.Document{Partitions: 8}
	r := &wire.Request{Epoch: 1}
	for i := range n {
		r.Writes = append(r.Writes, wire.Write{Tag: uint64(i + 1), Partition: doc.Partition(root), Write: op.Write{
			Root: root, Session: 5, Seq: uint64(i + 1), Floor: 1,
			Mutations: []op.Mutation{{Kind: op.Put, Path: fmt.Sprint("p", i), Value: make([]byte, size)}},
		}})
	}
	return from("app@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, r)))
}

// TestMixedIsTold: a node that cannot read what the others send says so in its presence.
func TestMixedIsTold(t *testing.T) {
	n, e, _ := testNode(t)
	for mixed, want := range map[bool]string{false: wire.StateOK, true: wire.StateMixed} {
		e.mixed = mixed
		h := n.health()
		if h.State != want || strings.Contains(n.statusText(&h), "another version") != mixed {
			t.Errorf("mixed %v: %s, %q", mixed, h.State, n.statusText(&h))
		}
	}
}

// TestOneBatchAWakeUp: what arrives together is proposed together, and answered
// in one message with the receipt.
func TestOneBatchAWakeUp(t *testing.T) {
	n, e, h := testNode(t)
	feed(t, h, append(writes(3, "root", 10), writes(4, "root", 10)...))
	if e.calls != 1 || e.proposals != 7 {
		t.Fatalf("%d proposals in %d calls", e.proposals, e.calls)
	}
	if len(n.answers.clients) != 1 {
		t.Fatalf("%d clients wait for answers", len(n.answers.clients))
	}
	out := n.answers.clients[0].out
	if len(out.writes) != 7 || len(out.done) != 2 {
		t.Fatalf("%d results, %d receipts", len(out.writes), len(out.done))
	}
	if n.inFlight.Load() != 0 {
		t.Fatalf("%d in flight", n.inFlight.Load())
	}
}

// TestClientsTellNoRing: what a client says of a newer ring is believed by nobody but
// itself.
func TestClientsTellNoRing(t *testing.T) {
	n, _, h := testNode(t)
	ask := func(q wire.Request) []byte {
		return []byte(`<iq type='get' id='q'>` + string(wire.AppendRequest(nil, &q)) + `</iq>`)
	}
	for _, jid := range []string{"who@localhost/x", "app@localhost/x"} {
		feed(t, h, from(jid, ask(wire.Request{Epoch: 1<<64 - 1, Time: h.now() + 4000})))
		if n.wanted.Load() != 0 || len(n.tasks) != 0 {
			t.Fatalf("%s made the node look for ring %d", jid, n.wanted.Load())
		}
	}
}

func TestForeignSessionIsDenied(t *testing.T) {
	n, e, h := testNode(t)
	e.owner = "other@localhost"
	feed(t, h, writes(1, "root", 1))
	if e.proposals != 0 {
		t.Fatal("proposed")
	}
	if out := n.answers.clients[0].out; out.writes[0].res.Code != op.Denied {
		t.Fatalf("%+v", out.writes[0].res)
	}
}

func TestAdoptChecksWhoItIs(t *testing.T) {
	n, _, _ := testNode(t)
	doc := testRing(t)
	doc.Epoch = 2
	doc.Cluster = "6f1a2b3c-0000-4000-8000-000000000002"
	if err := n.adopt(doc); !errors.Is(err, replication.ErrForeignCluster) {
		t.Errorf("other cluster: %v", err)
	}
	doc = testRing(t)
	doc.Epoch = 2
	doc.Members[0].Store = "99999999-0000-4000-8000-000000000001"
	if err := n.adopt(doc); !errors.Is(err, replication.ErrStranger) || n.state() != wire.StateStranger {
		t.Errorf("other store: %v, state %s", err, n.state())
	}
	n, e, _ := testNode(t)
	e.reconcile = errors.New("disk on fire")
	doc = testRing(t)
	doc.Epoch = 2
	if err := n.adopt(doc); err == nil || n.epoch() != 1 {
		t.Errorf("a document that is not on disk is served by: %v, epoch %d", err, n.epoch())
	}
	e.reconcile = nil
	if err := n.adopt(doc); err != nil || n.epoch() != 2 {
		t.Errorf("newer document: %v, epoch %d", err, n.epoch())
	}
}

// BenchmarkWrites is what a data node spends on a write besides replication:
// scan, parse, check, encode the command, gather and encode the answer.
func BenchmarkWrites(b *testing.B) {
	for _, bundle := range []int{1, 16} {
		b.Run(fmt.Sprint(bundle), func(b *testing.B) {
			n, e, h := testNode(b)
			e.owner = "app@localhost"
			raw := writes(bundle, "root", 256)
			s := stanza.NewScanner(stanza.Limits{})
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				st, _, err := s.Next(raw)
				if err != nil {
					b.Fatal(err)
				}
				h.Stanza(nil, st)
				h.Idle(nil)
				n.answers.flush()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bundle), "ns/write")
		})
	}
}
