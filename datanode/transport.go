package datanode

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/replication"
)

// maxElement is the largest payload put into one stanza, in bytes. ejabberd,
// Prosody and xmppd take stanzas of 256 KiB from clients by default. What other data
// nodes send in parts is smaller, see pacer.
const maxElement = 192 << 10

// raftMarkup is more than what a message has around its header and a batch, in bytes.
const raftMarkup = 512

const noStore = `<no-store xmlns='urn:xmpp:hints'/>`

// transport carries Raft batches in messages (docs/protocol.md, "Between data
// nodes"). It implements replication.Transport.
type transport struct{ n *Node }

// MaxBatch implements replication.Transport: what fits maxElement in base64.
func (t transport) MaxBatch() int { return base64.StdEncoding.DecodedLen(maxElement - 256) }

// Send implements replication.Transport. What cannot be sent is dropped: Raft
// repeats it.
func (t transport) Send(to uint64, batch []byte) {
	v := t.n.view.Load()
	if v == nil || v.self == 0 {
		return
	}
	p := v.peers[to]
	if p == nil {
		return
	}
	stream, address, there := t.n.way(p)
	conn := t.n.streams.conns[stream].Load()
	if conn == nil || !p.reachable(there, time.Now().UnixNano()) {
		return
	}
	header := p.headers[address]
	_ = conn.Compose(len(header)+wire.ValueSize(len(batch))+raftMarkup, func(dst []byte) []byte { // dropped: see above
		dst = wire.AppendRaft(append(dst, header...), v.self, t.n.store, batch)
		return append(dst, noStore+`</message>`...)
	})
}

// Flush implements replication.Transport.
func (t transport) Flush() {
	t.n.streams.push()
}

// SendBulk implements replication.Transport: through the pacer.
func (t transport) SendBulk(to uint64, what replication.Bulk, batch []byte) {
	v := t.n.view.Load()
	if v == nil || v.self == 0 {
		return
	}
	p := v.peers[to]
	if p == nil {
		return
	}
	if _, _, there := t.n.way(p); batch != nil && !p.reachable(there, time.Now().UnixNano()) {
		return
	}
	t.n.pacer.push(p, what, batch)
}

// open encodes a batch that leaves in parts. It may be large: that is not done in
// the engine's goroutine.
func (t transport) open(_ *peer, batch []byte) *wire.Splitter {
	var self uint64
	if v := t.n.view.Load(); v != nil {
		self = v.self
	}
	id := "r" + strconv.FormatUint(t.n.fragments.Add(1), 36)
	return wire.NewSplitter(wire.AppendRaft(nil, self, t.n.store, batch), pacePart, id)
}

// sendPart sends one part of a batch. Errors: xmppconn.ErrOverflow where another
// try makes sense, or what makes the rest useless.
func (t transport) sendPart(p *peer, part []byte) error {
	stream, address, there := t.n.way(p)
	conn := t.n.streams.conns[stream].Load()
	if conn == nil || !there {
		return xmppconn.ErrClosed
	}
	buf := append(t.n.buffers.get(), p.headers[address]...)
	buf = append(buf, part...)
	buf = append(buf, noStore+`</message>`...)
	err := conn.Send(buf)
	t.n.buffers.put(buf)
	return err
}
