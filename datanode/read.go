package datanode

import (
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
)

// iqRead is an IQ with reads. Each result has its place in done; who delivers
// the last one hands the IQ to the answering goroutine.
type iqRead struct {
	to, id string
	done   []readDone
	left   atomic.Int32
}

// reads takes the reads of one IQ.
func (h *handler) reads(c *client, id string, req *wire.Request) {
	h.n.announced(req.Epoch)
	q := &iqRead{to: c.jid, id: id, done: make([]readDone, len(req.Reads))}
	q.left.Store(int32(len(req.Reads)))
	if len(req.Reads) == 0 {
		h.n.answers.pushIQ(q)
		return
	}
	for i := range req.Reads {
		r, place := &req.Reads[i], &q.done[i]
		place.tag, place.group = r.Tag, r.Partition
		h.read(c, r, func(res op.ReadResult) {
			place.res = res
			if q.left.Add(-1) == 0 {
				h.n.answers.pushIQ(q)
			}
		})
	}
}

// readByMessage takes a read that came in a message: its answer may be sent in
// parts, so that also what does not fit an IQ can be read.
func (h *handler) readByMessage(r *request, read *wire.Read) {
	tag, group := read.Tag, read.Partition
	h.read(r.c, read, func(res op.ReadResult) {
		r.read(&h.n.answers, readDone{tag, group, res})
	})
}

// read checks one read and gathers it for the engine; done is called once, here
// or from an engine goroutine.
func (h *handler) read(c *client, r *wire.Read, done func(op.ReadResult)) {
	code, text := h.admit(c, r.Partition, r.Bad)
	if code == 0 {
		code, text = h.checkRead(r)
	}
	if code != 0 {
		done(op.ReadResult{Code: code, Text: text})
		return
	}
	n := h.n
	n.inFlight.Add(1)
	c.inFlight.Add(1)
	h.readRequests = append(h.readRequests, replication.ReadRequest{Group: r.Partition, Read: &r.Read, Done: func(res op.ReadResult) {
		n.inFlight.Add(-1)
		c.inFlight.Add(-1)
		done(res)
	}})
}

func (h *handler) checkRead(r *wire.Read) (op.Code, string) {
	if r.Kind != op.Get && r.Kind != op.List {
		return op.Invalid, "unknown kind of read"
	}
	for _, err := range []error{op.CheckRoot(r.Root), op.CheckPath(r.Path), op.CheckPath(r.Prefix), op.CheckPath(r.After)} {
		if err != nil {
			return op.Invalid, err.Error()
		}
	}
	if r.Limit < 0 || r.Limit > op.MaxListPage {
		r.Limit = op.MaxListPage
	}
	return h.checkPlace(r.Root, r.Partition)
}
