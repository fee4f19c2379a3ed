package datanode

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// presenceOf is what a server tells of a member's address.
func presenceOf(i int, second, there bool) []byte {
	m := testMember(i)
	jid := m.JID
	if second {
		jid = wire.SecondJID(jid)
	}
	if !there {
		return from(jid, []byte(`<presence type='unavailable'/>`))
	}
	h := wire.Health{Member: m.ID, Store: m.Store, State: wire.StateOK, Epoch: 1, Cluster: testCluster}
	return from(jid, []byte(`<presence >`+string(wire.AppendHealth(nil, &h))+`</presence>`))
}

// TestSecondAddress: a member whose first stream ends is reached by its second one, and is
// gone when that has ended, too; then elections need not wait.
func TestSecondAddress(t *testing.T) {
	for _, planted := range []bool{false, true} {
		n, e, h := testNode(t)
		n.faults.OneStreamIsAll = planted
		p := n.view.Load().peers[2]
		feed(t, h, presenceOf(2, false, true))
		feed(t, h, presenceOf(2, true, true))
		if _, address, there := n.way(p); address != 0 || !there {
			t.Fatalf("address %d, there %v", address, there)
		}
		feed(t, h, presenceOf(2, false, false))
		if planted != (len(e.down) == 1) {
			t.Errorf("planted %v, told to be gone: %v", planted, e.down)
		}
		if planted {
			continue
		}
		if _, address, there := n.way(p); address != 1 || !there {
			t.Errorf("address %d, there %v", address, there)
		}
		feed(t, h, from(wire.SecondJID(testMember(2).JID), raftMessage(2, testMember(2).Store)))
		if len(e.batches) != 1 {
			t.Error("a batch from the second address is not taken")
		}
		feed(t, h, presenceOf(2, true, false))
		if len(e.down) != 1 || e.down[0] != 2 {
			t.Errorf("down: %v", e.down)
		}
		feed(t, h, presenceOf(2, true, true))
		if _, address, there := n.way(p); address != 1 || !there || p.away.Load() {
			t.Errorf("back under the second address: %d, there %v", address, there)
		}
	}
}

// TestOtherStream: what the server of one stream does not reach goes by the other one, and
// a member is gone only if neither reaches it.
func TestOtherStream(t *testing.T) {
	n, e, h := testNode(t)
	other := newHandler(n, 1)
	conns := [2]*xmppconn.Conn{new(xmppconn.Conn), new(xmppconn.Conn)}
	for i, c := range conns {
		n.streams.up(i, c)
	}
	p := n.view.Load().peers[3]
	feed(t, h, presenceOf(3, false, false))
	if stream, _, there := n.way(p); stream != 1 || !there || len(e.down) > 0 {
		t.Errorf("by stream %d, there %v, down %v", stream, there, e.down)
	}
	feed(t, other, presenceOf(3, false, false))
	if len(e.down) != 1 {
		t.Error("gone for both, and not told so")
	}
	feed(t, other, presenceOf(3, true, true))
	if stream, address, there := n.way(p); stream != 1 || address != 1 || !there || p.away.Load() {
		t.Errorf("by stream %d to address %d, there %v", stream, address, there)
	}
	h.Down(xmppconn.ErrClosed)
	if n.streams.conn() != conns[1] || p.away.Load() || len(e.down) != 1 {
		t.Errorf("the other stream does not carry on: down %v", e.down)
	}
	n.streams.up(0, conns[0])
	if n.streams.conn() != conns[1] {
		t.Error("a stream that came back took over")
	}
	other.Down(xmppconn.ErrClosed)
	if n.streams.conn() != conns[0] {
		t.Error("the first stream does not carry on")
	}
}

// TestAnswersTakeTheStream: a client is answered by the stream that it asked on, for that
// address is what it knows to answer.
func TestAnswersTakeTheStream(t *testing.T) {
	n, _, h := testNode(t)
	other := newHandler(n, 1)
	n.streams.up(0, new(xmppconn.Conn))
	n.streams.up(1, new(xmppconn.Conn))
	for i, h := range []*handler{h, other} {
		feed(t, h, writes(1, "r", 1))
		c := h.clients["app@localhost/x"]
		if c == nil || n.streams.of(c.stream) != n.streams.conns[i].Load() {
			t.Errorf("stream %d: answered by another one", i)
		}
	}
	if n.clients.Load() != 2 {
		t.Errorf("%d clients", n.clients.Load())
	}
}
