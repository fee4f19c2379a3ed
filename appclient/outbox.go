package appclient

import (
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
)

const (
	maxOps = 256 // operations a stanza
	// stanzaMargin is left for what surrounds the operations, in bytes.
	stanzaMargin = 1024
	// fillLimit ends a batch for the socket; what is left leaves in the next.
	fillLimit = 512 << 10
)

// maxSlots is how many requests of a lane are under way before the next
// waits for an answer. Measured with 64 writers on a loaded machine: one
// makes bundles of 10 operations and 221 us of server CPU each, two 6 and
// 248, four 4 and 248; throughput is best with one. Pages are large whatever
// shares the stanza.
func maxSlots(lane int) int {
	if lane == pages {
		return 4
	}
	return 1
}

// outgoing is a request on its way into a stanza. The writer's goroutine reuses
// one.
type outgoing struct {
	req     *request
	ops     wire.Request
	calls   []*call
	scratch []byte
	// questions leave with the request.
	questions []*question
}

// fill appends what the queues hold for a stream to b as stanzas, for its writer.
func (e *engine) fill(b []byte, o *outgoing, stream int) []byte {
	for len(b) < fillLimit && e.collect(o, stream) {
		b = o.append(b, e.maxStanza)
		e.encoded(o)
	}
	return b
}

// collect moves one request's worth of calls from a queue to o. False: there
// is nothing to send now.
func (e *engine) collect(o *outgoing, stream int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ups[stream] {
		return false
	}
	for i := len(e.dirty) - 1; i >= 0; i-- {
		n := e.dirty[i]
		if n.ways.now.stream != stream && n.online {
			continue
		}
		if len(n.cancels) > 0 {
			e.takeCancels(o, n)
			return true
		}
		for lane := range n.lanes {
			if l := &n.lanes[lane]; len(l.queue) > 0 && l.slots < maxSlots(lane) {
				e.take(o, n, lane)
				return true
			}
		}
		n.dirty = false
		e.dirty = append(e.dirty[:i], e.dirty[i+1:]...)
	}
	return false
}

// takeCancels makes a request of what is not waited for any more. It has no answer.
func (e *engine) takeCancels(o *outgoing, n *node) {
	e.lastID++
	used := min(len(n.cancels), (e.maxStanza-stanzaMargin)/wire.CancelSize)
	o.req, o.calls = &request{id: e.prefix + strconv.FormatUint(e.lastID, 36), node: n, way: n.ways.now, lane: watches}, o.calls[:0]
	o.ops = wire.Request{Epoch: e.doc.Epoch, Time: e.logTime, Cancels: append([]uint64(nil), n.cancels[:used]...)}
	if n.cancels = n.cancels[used:]; len(n.cancels) == 0 {
		n.cancels = nil
	}
	e.stats.Stanzas++
}

func (e *engine) take(o *outgoing, n *node, lane int) {
	e.lastID++
	now := e.now()
	r := &request{id: e.prefix + strconv.FormatUint(e.lastID, 36), node: n, way: n.ways.now, lane: lane, sent: now}
	o.req, o.calls, o.questions = r, o.calls[:0], o.questions[:0]
	o.ops = wire.Request{Epoch: e.doc.Epoch, Time: e.logTime, Opens: o.ops.Opens[:0], Writes: o.ops.Writes[:0], Settles: o.ops.Settles[:0], Reads: o.ops.Reads[:0]}
	l := &n.lanes[lane]
	most := maxOps
	if lane == reads {
		most = min(most, e.answers.fit())
	}
	used, size := l.bundle(e.maxStanza-stanzaMargin, most)
	if lane != watches {
		r.bytes = size
		n.owed += size
	}
	due := now + e.timeout(n)
	for _, c := range l.queue[:used] {
		e.lastTag++
		e.send(c, r, e.lastTag, due)
		c.encoding++
		r.tags = append(r.tags, e.lastTag)
		o.add(c, e.lastTag)
		if lane == reads {
			o.ops.Reads[len(o.ops.Reads)-1].With = e.pair(o, c, n, e.lastTag)
		}
	}
	rest := copy(l.queue, l.queue[used:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	l.hold(r, used == most && most < maxOps && rest > 0)
	r.left = used
	e.requests[r.id] = r
	e.stats.Stanzas++
}

// send notes that a copy of the call goes out under a tag.
func (e *engine) send(c *call, r *request, tag uint64, due time.Duration) {
	c.state, c.node, c.last = waitAnswer, r.node, tag
	c.due = due + time.Duration(c.read.Wait)*time.Millisecond
	if c.large {
		c.due += transfer(wire.MaxResponse)
	}
	if c.shares != nil && c.tries == 0 {
		e.closeMerge(c)
	}
	c.tries++
	c.open = append(c.open, try{tag, r})
	e.tags[tag] = c
	if c.kind == writeCall {
		c.write.Floor = c.ses.floor
		if e.faults.floorPassesLive {
			c.write.Floor = c.write.Seq
		}
	}
}

func (o *outgoing) add(c *call, tag uint64) {
	o.calls = append(o.calls, c)
	switch c.kind {
	case openCall:
		o.ops.Opens = append(o.ops.Opens, wire.Open{Tag: tag, Partition: c.part.id})
	case writeCall:
		o.ops.Writes = append(o.ops.Writes, wire.Write{Tag: tag, Partition: c.part.id, Write: c.write})
	case settleCall:
		o.ops.Settles = append(o.ops.Settles, wire.Settle{Tag: tag, Partition: c.part.id, Settle: c.settle})
	case readCall:
		o.ops.Reads = append(o.ops.Reads, wire.Read{Tag: tag, Partition: c.part.id, Read: c.read})
	}
}

// append encodes the request.
func (o *outgoing) append(b []byte, maxStanza int) []byte {
	o.scratch = wire.AppendRequest(o.scratch[:0], &o.ops)
	to, id := o.req.node.ways.addresses[o.req.way.address], o.req.id
	if o.req.lane == reads {
		b = wire.AppendIQ(b, to, id, "get", o.scratch)
		for _, q := range o.questions {
			o.scratch = wire.AppendTerms(o.scratch[:0], q.member, q.groups)
			b = wire.AppendIQ(b, q.node.ways.addresses[q.way.address], q.id, "get", o.scratch)
		}
		return b
	}
	parts := wire.Split(o.scratch, maxStanza-stanzaMargin, id)
	for i, p := range parts {
		// The last part carries the request's id and asks for the receipt.
		partID, last := id+"."+strconv.Itoa(i), i == len(parts)-1
		if last {
			partID = id
		}
		b = wire.AppendMessage(b, to, partID, last && len(o.req.tags) > 0, p)
	}
	return b
}

// encoded ends the time in which the calls must stay as they are.
func (e *engine) encoded(o *outgoing) {
	e.mu.Lock()
	for _, c := range o.calls {
		c.encoding--
	}
	e.mu.Unlock()
	clear(o.calls)
	clear(o.ops.Writes)
	clear(o.ops.Reads)
	clear(o.questions)
	if cap(o.scratch) > 4*fillLimit {
		o.scratch = nil
	}
}

// size is at least the bytes of XML that the call needs.
func (c *call) size() int {
	switch c.kind {
	case openCall:
		return wire.OpenSize
	case settleCall:
		return wire.SettleSize
	case readCall:
		return wire.ReadSize(&c.read)
	}
	return wire.WriteSize(&c.write)
}

// bundle is how many calls at the head of the queue, up to most, share the next
// request, and the bytes of XML that they need at most.
func (l *lane) bundle(maxBytes, most int) (used, size int) {
	for _, c := range l.queue {
		s := c.size()
		if used > 0 && (size+s > maxBytes || used == most) {
			break
		}
		size += s
		used++
	}
	return used, size
}

// slowest is the rate that a node is trusted to take large requests at, in bytes
// a second. To send 4 MiB again because a second has passed makes a busy node
// busier.
const slowest = 2 << 20

// transfer is the time that many bytes may take.
func transfer(bytes int) time.Duration {
	return time.Duration(bytes) * time.Second / slowest
}

// timeout is how long a try at n may take, with all that it has not answered yet.
func (e *engine) timeout(n *node) time.Duration {
	if n.rtt == 0 {
		return e.tryTimeout + transfer(n.owed)
	}
	return min(e.tryTimeout, max(e.tryTimeout/2, 10*n.rtt)) + transfer(n.owed)
}
