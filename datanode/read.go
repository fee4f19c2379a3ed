package datanode

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// iqRead is an IQ with reads. Each result has its place in done; who delivers
// the last one sends the answer, or hands the IQ to the answering goroutine.
type iqRead struct {
	c    *client
	id   string
	done []readDone
	left atomic.Int32
}

// reads takes the reads of one IQ.
func (h *handler) reads(c *client, id string, req *wire.Request) {
	h.observe(c, req)
	h.callOff(c, req)
	q := &iqRead{c: c, id: id, done: make([]readDone, len(req.Reads))}
	q.left.Store(int32(len(req.Reads)) + 1)
	for i := range req.Reads {
		place := &q.done[i]
		h.read(c, &req.Reads[i], func(d readDone) {
			*place = d
			if q.left.Add(-1) == 0 {
				h.n.answers.pushIQ(q)
			}
		})
		h.breathe()
	}
	if q.left.Add(-1) == 0 { // nothing of it needed another goroutine
		h.n.answers.answerIQ(q)
		h.direct.told = true
	}
}

// readByMessage takes a read that came in a message: its answer may be sent in
// parts, so that also what does not fit an IQ can be read.
func (h *handler) readByMessage(r *request, read *wire.Read) {
	h.read(r.c, read, func(d readDone) { r.read(&h.n.answers, d) })
}

// read checks one read and gathers it for the engine; done is called once, here
// or from an engine goroutine.
func (h *handler) read(c *client, r *wire.Read, done func(readDone)) {
	tag, group := r.Tag, r.Partition
	answer, ok := h.admit(c, r.Partition, r.Bad)
	if ok {
		answer, ok = h.checkRead(c, r)
	}
	k := kindOf(r.Kind)
	if !ok {
		h.n.refused(c, k, &answer)
		done(readDone{tag: tag, group: group, res: op.ReadResult{Code: answer.Code, Text: answer.Text, RetryAfter: answer.RetryAfter}})
		return
	}
	if r.Kind == op.Changes {
		h.watch(c, r, done)
		return
	}
	h.now()
	n, begun := h.n, h.at
	if r.Root != "" {
		n.hot.read(r.Root, r.Path, begun)
	}
	if h.confirmedRead(c, r, done) {
		return
	}
	indexed, cost := r.Index != "", opCost+c.expect()
	n.inFlight.Add(1)
	c.inFlight.Add(1)
	n.fair.entered(cost)
	h.readers = append(h.readers, asker{c, cost})
	h.readRequests = append(h.readRequests, replication.ReadRequest{Group: r.Partition, Read: &r.Read, Done: func(res op.ReadResult) {
		n.inFlight.Add(-1)
		c.inFlight.Add(-1)
		size := resultSize(&res)
		c.learn(size)
		held := n.hold(c, &res, size, op.Overloaded)
		n.fair.ended(cost)
		n.counts.ended(k, res.Code, begun)
		if indexed {
			undefined(&res)
		}
		done(readDone{tag: tag, group: group, held: held, res: res})
	}})
}

// undefined changes the result of a read of an index that the ring has: a partition
// that does not know it yet is about to be told.
func undefined(res *op.ReadResult) {
	if res.Code == op.NotFound {
		*res = op.ReadResult{Code: op.Unavailable, Text: "the index is new and not known to the partition yet; ask again", RetryAfter: retryAfter}
	}
}

// turn is that of a read of changes among the operations. It is over with the answer,
// or when the read begins to wait.
type turn struct {
	f    *fair
	over atomic.Bool
}

func (t *turn) end() {
	if t.over.CompareAndSwap(false, true) {
		t.f.ended(opCost)
	}
}

// watch takes a read of changes, which may wait for long: it has a place among the
// operations only until it waits, and there is a bound of its own.
func (h *handler) watch(c *client, r *wire.Read, done func(readDone)) {
	n := h.n
	if c.watches.Load() >= maxWatches || n.watches.Load() >= maxNodeWatches {
		why := refusal{why: refusedWatches, Code: op.Overloaded, Text: textWatches, RetryAfter: retryAfter}
		n.refused(c, kindChanges, &why)
		done(readDone{tag: r.Tag, group: r.Partition, res: op.ReadResult{Code: why.Code, Text: why.Text, RetryAfter: why.RetryAfter}})
		return
	}
	h.now()
	begun := h.at
	n.watches.Add(1)
	c.watches.Add(1)
	granted := c.rightsOf // by which it was let in
	n.fair.entered(opCost)
	turn := &turn{f: &n.fair}
	read := replication.ReadRequest{Group: r.Partition, Read: &r.Read, Owner: c.id, Tag: r.Tag, Parked: turn.end, Done: func(res op.ReadResult) {
		n.watches.Add(-1)
		c.watches.Add(-1)
		if v := n.view.Load(); v.access != granted && len(res.Events) > 0 && !n.maySee(v, c, r) {
			res = op.ReadResult{Code: op.Denied, Text: "this account may no longer read what it watched; see ringctl access"}
			n.refusals.note(refusedAccess, c.bare, kindChanges.String(), res.Text)
		}
		if res.Code == op.Overloaded {
			res.Code = op.Unavailable // Overloaded would end a watch
		}
		held := n.hold(c, &res, resultSize(&res), op.Unavailable) // likewise
		turn.end()
		n.counts.ended(kindChanges, res.Code, begun)
		if r.Index != "" {
			undefined(&res)
		}
		done(readDone{tag: r.Tag, group: r.Partition, held: held, res: res})
	}}
	if n.faults.ChangesPass {
		n.engine.Read([]replication.ReadRequest{read})
		return
	}
	h.readers = append(h.readers, asker{c, opCost})
	h.readRequests = append(h.readRequests, read)
}

// callOff ends the wait of reads of changes that the client does not want any more,
// before those that come with it look for room.
func (h *handler) callOff(c *client, req *wire.Request) {
	if len(req.Cancels) > 0 && c.watches.Load() > 0 {
		h.submit() // they may have come just before
		h.n.fair.callOff(c, req.Cancels)
		h.n.engine.Cancel(c.id, req.Cancels)
	}
}

// maySee tells whether a client may see the events of a read by another document
// than that which it began by.
func (n *Node) maySee(v *view, c *client, r *wire.Read) bool {
	prefix := r.Root
	if prefix == "" {
		prefix = r.Prefix
	}
	if r.Index != "" {
		i := slices.IndexFunc(v.doc.Indexes, func(x ring.Index) bool { return x.ID == r.IndexID })
		if i < 0 {
			return false
		}
		prefix = v.doc.Indexes[i].Prefix
	}
	return c.operator || n.faults.NoAccess || v.access.of(c.address, c.app).mayRead(prefix)
}

// checkRead checks what is particular to a read: the view is there.
func (h *handler) checkRead(c *client, r *wire.Read) (refusal, bool) {
	if err := r.Check(); err != nil {
		return refusal{why: refusedInvalid, Code: op.Invalid, Text: err.Error()}, false
	}
	prefix, named := r.Root, r.Root != ""
	if !named {
		prefix = r.Prefix
	}
	doc := h.n.view.Load().doc
	if r.Index != "" {
		i := slices.IndexFunc(doc.Indexes, func(x ring.Index) bool { return x.Name == r.Index })
		if i < 0 && (h.n.wanted.Load() > doc.Epoch || c.epoch > doc.Epoch) {
			return refusal{why: refusedState, Code: op.Unavailable, Text: "this data node is about to learn of a newer ring; ask again", RetryAfter: retryAfter}, false
		}
		if i < 0 {
			return refusal{why: refusedInvalid, Code: op.NotFound, Text: fmt.Sprintf("there is no index %q; `ringctl index list` tells which there are", r.Index)}, false
		}
		prefix, r.IndexID = doc.Indexes[i].Prefix, doc.Indexes[i].ID
	}
	if !h.rights(c).mayRead(prefix) {
		what := fmt.Sprintf("all of what begins with %q", prefix)
		if named {
			what = fmt.Sprintf("root %q", r.Root)
		}
		return refusal{why: refusedAccess, Code: op.Denied, Text: "this account may not read " + what + "; see ringctl access"}, false
	}
	if named {
		return h.checkPlace(r.Root, r.Partition)
	}
	return refusal{}, true
}
