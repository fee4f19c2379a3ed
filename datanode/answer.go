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
	answerTurn          = 64 << 10  // bytes that a client is told before others have their turn
	answersAhead        = 512 << 10 // bytes that wait in the stream before answers do: what is urgent waits behind them
)

// answers sends results. Whoever has one puts its client on the list; one
// goroutine empties the outboxes in turn, so that what comes in the meantime shares the
// next message, and who asks for much waits for itself.
type answers struct {
	n    *Node
	wake chan struct{} // one token; closed by stop

	mu      sync.Mutex
	clients []*client
	held    atomic.Int64 // bytes of results that are not sent yet
	over    bool
}

func (a *answers) init(n *Node) { a.n, a.wake = n, make(chan struct{}, 1) }

func (a *answers) pushClient(c *client) {
	a.mu.Lock()
	a.clients = append(a.clients, c)
	a.signal()
}

// pushIQ sends the answer to an IQ in its client's turn.
func (a *answers) pushIQ(q *iqRead) {
	q.c.unsent.Add(int64(len(q.done)))
	q.c.mu.Lock()
	q.c.out.iqs = append(q.c.out.iqs, q)
	q.c.tell(a)
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
	for {
		a.mu.Lock()
		clients := a.clients
		a.clients = nil
		a.mu.Unlock()
		for _, c := range clients {
			a.turn(c)
		}
		a.n.streams.push()
		if len(clients) == 0 {
			return
		}
	}
}

// turn tells a client the next of its results, and lets it come again if that is not all.
func (a *answers) turn(c *client) {
	if conn := a.n.streams.of(c.stream); conn != nil && !a.n.faults.AnswersAhead {
		conn.Await(answersAhead)
	}
	if c.rest.empty() {
		c.mu.Lock()
		c.rest, c.out = c.out, outbox{queued: true}
		c.mu.Unlock()
	}
	if c.gone.Load() {
		a.forget(c)
	}
	for sent := 0; !c.rest.empty() && (sent < answerTurn || a.n.faults.AnswersAhead); {
		sent += a.sendNext(c, &c.rest)
	}
	if !c.rest.empty() {
		a.pushClient(c)
		return
	}
	c.mu.Lock()
	c.rest = outbox{}
	again := !c.out.empty()
	c.out.queued = again
	c.mu.Unlock()
	if again {
		a.pushClient(c)
	}
}

// forget drops what a client that is gone would have been told.
func (a *answers) forget(c *client) {
	a.n.sent(c, c.rest.reads)
	c.unsent.Add(-int64(len(c.rest.writes)))
	for _, q := range c.rest.iqs {
		a.n.sent(c, q.done)
	}
	c.rest = outbox{}
}

// send gives a stanza to the stream that its receiver is known by; flush has it written. What a full queue or a stream that is down
// does not take is lost, and the client asks again: its sequence numbers make
// that safe.
func (a *answers) send(c *client, stanza []byte) {
	if conn := a.n.streams.of(c.stream); conn != nil {
		_ = conn.Queue(stanza)
	}
}

// sendNext sends one stanza of an outbox, or an answer in parts, and returns its size.
func (a *answers) sendNext(c *client, out *outbox) int {
	if len(out.iqs) > 0 {
		q := out.iqs[0]
		out.iqs[0] = nil
		out.iqs = out.iqs[1:]
		return a.sendIQ(q)
	}
	r := wire.Response{Epoch: a.n.epoch(), Time: a.n.logTime()}
	switch {
	case len(out.writes) > 0:
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
		c.unsent.Add(-int64(i))
	case len(out.reads) > 0:
		n, room := together(out.reads)
		done := out.reads[:n]
		defer a.n.sent(c, done)
		r.Reads = a.readReplies(done, room)
		out.reads = out.reads[n:]
	} // else there are requests without operations
	return a.sendResponse(c, &r, out)
}

// sendResponse sends one <results/> and returns its size; the receipts go with the last.
func (a *answers) sendResponse(c *client, r *wire.Response, rest *outbox) (size int) {
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
	size = len(el)
	a.n.buffers.put(el)
	a.n.buffers.put(msg)
	return size
}

// answerIQ answers an IQ at once, for the read loop, unless much is being told already.
func (a *answers) answerIQ(q *iqRead) {
	if conn := a.n.streams.of(q.c.stream); conn != nil && conn.Queued() > answersAhead && !a.n.faults.AnswersAhead {
		a.pushIQ(q)
		return
	}
	q.c.unsent.Add(int64(len(q.done)))
	a.sendIQ(q)
}

func (a *answers) sendIQ(q *iqRead) (size int) {
	defer a.n.sent(q.c, q.done)
	if q.c.gone.Load() {
		return 0
	}
	r := wire.Response{Epoch: a.n.epoch(), Time: a.n.logTime(), Reads: a.readReplies(q.done, maxReadAnswer)}
	iq := wire.AppendResponse(wire.BeginIQ(a.n.buffers.get(), q.c.jid, q.id, "result"), &r)
	iq = wire.EndIQ(iq)
	a.send(q.c, iq)
	if conn := a.n.streams.of(q.c.stream); conn != nil && len(iq) >= pushAt {
		conn.Push()
	}
	size = len(iq)
	a.n.buffers.put(iq)
	return size
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
