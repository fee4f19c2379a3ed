package datanode

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// Bounds of one answer.
const (
	maxRepliesPerAnswer = 512       // results (count)
	maxItemsPerAnswer   = 2048      // outcomes of mutations (count)
	maxReadAnswer       = 150 << 10 // bytes that the reads of one IQ share
	maxReadsPerIQ       = 512       // so that even their bare replies fit (count)
	maxReadMessage      = 4 << 20   // bytes that reads asked for by message share, in parts; an object may have more
	pushAt              = 32 << 10  // bytes of an answer that does not wait for others to share a write
)

// answers sends results. Whoever has one puts its client on the list; one
// goroutine empties the outboxes, so that what comes in the meantime shares the
// next message.
type answers struct {
	n    *Node
	wake chan struct{} // one token; closed by stop

	mu      sync.Mutex
	clients []*client
	iqs     []*iqRead
	held    atomic.Int64 // bytes of results that are not sent yet
	over    bool
}

func (a *answers) init(n *Node) { a.n, a.wake = n, make(chan struct{}, 1) }

func (a *answers) pushClient(c *client) {
	a.mu.Lock()
	a.clients = append(a.clients, c)
	a.signal()
}

func (a *answers) pushIQ(q *iqRead) {
	a.mu.Lock()
	a.iqs = append(a.iqs, q)
	a.signal()
}

// signal wakes the goroutine and unlocks.
func (a *answers) signal() {
	if !a.over {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
	a.mu.Unlock()
}

// stop ends run after what is there was sent.
func (a *answers) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		a.over = true
		close(a.wake)
	}
}

func (a *answers) run() {
	for range a.wake {
		a.flush()
	}
	a.flush()
}

func (a *answers) flush() {
	a.mu.Lock()
	clients, iqs := a.clients, a.iqs
	a.clients, a.iqs = nil, nil
	a.mu.Unlock()
	for _, c := range clients {
		a.sendOutbox(c)
	}
	for _, q := range iqs {
		a.sendIQ(q)
	}
	a.n.streams.push()
}

// send gives a stanza to the stream that its receiver is known by; flush has it written. What a full queue or a stream that is down
// does not take is lost, and the client asks again: its sequence numbers make
// that safe.
func (a *answers) send(c *client, stanza []byte) {
	if conn := a.n.streams.of(c.stream); conn != nil {
		_ = conn.Queue(stanza)
	}
}

func (a *answers) sendOutbox(c *client) {
	c.mu.Lock()
	out := c.out
	c.out = outbox{}
	c.mu.Unlock()
	defer a.n.sent(c, out.reads)
	if c.gone.Load() {
		return
	}
	epoch, now := a.n.epoch(), a.n.logTime()
	for len(out.writes) > 0 {
		r := wire.Response{Epoch: epoch, Time: now}
		items, i := 0, 0
		for ; i < len(out.writes) && i < maxRepliesPerAnswer && items < maxItemsPerAnswer; i++ {
			w := &out.writes[i]
			if w.res.Code == op.Redirect && w.res.Leader == "" {
				w.res.Leader = a.n.leaderJID(w.group)
			}
			items += len(w.res.Items)
			r.Writes = append(r.Writes, wire.WriteReply{Tag: w.tag, WriteResult: w.res})
		}
		out.writes = out.writes[i:]
		a.sendResponse(c, &r, &out)
	}
	for len(out.reads) > 0 {
		n, room := together(out.reads)
		r := wire.Response{Epoch: epoch, Time: now, Reads: a.readReplies(out.reads[:n], room)}
		out.reads = out.reads[n:]
		a.sendResponse(c, &r, &out)
	}
	if len(out.done) > 0 { // requests without operations
		a.sendResponse(c, &wire.Response{Epoch: epoch, Time: now}, &out)
	}
}

// sendResponse sends one <results/>; the receipts go with the last.
func (a *answers) sendResponse(c *client, r *wire.Response, rest *outbox) {
	el := a.n.buffers.get()
	el = wire.AppendResponse(el, r)
	var ids []string
	if len(rest.writes) == 0 && len(rest.reads) == 0 {
		ids, rest.done = rest.done, nil
	}
	msg := a.n.buffers.get()
	if len(el) <= maxElement {
		msg = wire.AppendAnswer(msg, c.jid, ids, el)
		a.send(c, msg)
	} else {
		parts := wire.Split(el, maxElement, "a"+strconv.FormatUint(a.n.fragments.Add(1), 36))
		for i, part := range parts {
			var last []string
			if i == len(parts)-1 {
				last = ids
			}
			msg = wire.AppendAnswer(msg[:0], c.jid, last, part)
			a.send(c, msg)
		}
	}
	a.n.buffers.put(el)
	a.n.buffers.put(msg)
}

func (a *answers) sendIQ(q *iqRead) {
	defer a.n.sent(q.c, q.done)
	if q.c.gone.Load() {
		return
	}
	r := wire.Response{Epoch: a.n.epoch(), Time: a.n.logTime(), Reads: a.readReplies(q.done, maxReadAnswer)}
	iq := wire.AppendResponse(wire.BeginIQ(a.n.buffers.get(), q.c.jid, q.id, "result"), &r)
	iq = wire.EndIQ(iq)
	a.send(q.c, iq)
	if conn := a.n.streams.of(q.c.stream); conn != nil && len(iq) >= pushAt {
		conn.Push()
	}
	a.n.buffers.put(iq)
}

// readReplies makes the replies of one answer, which share room bytes.
func (a *answers) readReplies(done []readDone, room int) []wire.ReadReply {
	out := make([]wire.ReadReply, len(done))
	for i := range done {
		d := &done[i]
		if d.res.Code == op.Redirect && d.res.Leader == "" {
			d.res.Leader = a.n.leaderJID(d.group)
		}
		out[i] = wire.ReadReply{Tag: d.tag, Term: d.term, ReadResult: d.res}
	}
	shorten(out, room)
	return out
}

// logTime is at least the log time of everything that is answered now.
func (n *Node) logTime() int64 {
	return max(n.clock.stamp(time.Now().UnixMilli()), n.engine.LogTime())
}

// leaderJID names a better candidate for a group: its leader as known here, for
// a group not held here the preferred one; "" when there is none.
func (n *Node) leaderJID(group uint32) string {
	v := n.view.Load()
	if v == nil {
		return ""
	}
	id, ok := n.engine.LeaderOf(group)
	if !ok {
		ids := v.doc.Group(group)
		if len(ids) == 0 {
			return ""
		}
		for _, held := range ids {
			if held == v.self {
				return "" // held here, and nobody leads
			}
		}
		id = ids[0]
	}
	if p := v.peers[id]; p != nil {
		return p.jid
	}
	return ""
}
