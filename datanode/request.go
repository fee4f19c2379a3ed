package datanode

import (
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/state"
)

// What clients are told, for people.
const (
	textDenied   = "this account may not use the store; the data nodes name its applications with --app"
	textJoining  = "this data node is not part of a ring yet"
	textStranger = "this data node is a stranger to the ring and serves nothing"
	textBusy     = "too many operations of this client wait for their answers; wait for some"
	textSession  = "the session belongs to another account; open one"
	textIQ       = "writes and opens travel in messages, an IQ takes reads only"
)

// requests takes the operations of one message and gathers them for the engine.
func (h *handler) requests(c *client, id string, receipt bool, reqs []*wire.Request) {
	r := &request{c: c, id: id, receipt: receipt}
	for _, q := range reqs {
		r.left += len(q.Opens) + len(q.Writes) + len(q.Reads)
		h.n.announced(q.Epoch)
	}
	if r.left == 0 {
		c.mu.Lock()
		r.finish(&h.n.answers)
		return
	}
	for _, q := range reqs {
		for i := range q.Opens {
			h.open(r, &q.Opens[i])
		}
		for i := range q.Writes {
			h.write(r, &q.Writes[i])
		}
		for i := range q.Reads {
			h.readByMessage(r, &q.Reads[i])
		}
	}
}

func (h *handler) open(r *request, o *wire.Open) {
	code, text := h.admit(r.c, o.Partition, o.Bad)
	if code == 0 && h.n.disk.full() {
		code, text = op.Full, h.n.disk.text()
	}
	if code != 0 {
		r.write(&h.n.answers, written{o.Tag, o.Partition, op.WriteResult{Code: code, Text: text}})
		return
	}
	h.propose(r, o.Tag, o.Partition, state.EncodeOpen(nil, h.now(), r.c.bare))
}

func (h *handler) write(r *request, w *wire.Write) {
	code, text := h.admit(r.c, w.Partition, w.Bad)
	if code == 0 {
		code, text = h.checkWrite(r.c, w)
	}
	if code != 0 {
		r.write(&h.n.answers, written{w.Tag, w.Partition, op.WriteResult{Code: code, Text: text}})
		return
	}
	h.propose(r, w.Tag, w.Partition, state.EncodeWrite(nil, h.now(), &w.Write))
}

func (h *handler) propose(r *request, tag uint64, group uint32, cmd []byte) {
	n := h.n
	n.inFlight.Add(1)
	r.c.inFlight.Add(1)
	h.proposals = append(h.proposals, replication.Proposal{Group: group, Cmd: cmd, Done: func(res op.WriteResult) {
		n.inFlight.Add(-1)
		r.c.inFlight.Add(-1)
		r.write(&n.answers, written{tag, group, res})
	}})
}

// admit says whether a client may do anything in a partition: 0 when it may,
// else the answer.
func (h *handler) admit(c *client, partition uint32, bad string) (op.Code, string) {
	h.n.operations.Add(1)
	switch v := h.n.view.Load(); {
	case bad != "":
		return op.Invalid, bad
	case !c.app:
		return op.Denied, textDenied
	case h.n.stranger.Load() != nil:
		return op.Unavailable, textStranger
	case v == nil:
		return op.Unavailable, textJoining
	case uint64(partition) >= uint64(v.doc.Partitions):
		return op.Invalid, fmt.Sprintf("partition %d of %d: they count from 0", partition, v.doc.Partitions)
	case c.inFlight.Load() >= maxInFlight:
		return op.Unavailable, textBusy
	}
	return 0, ""
}

// checkWrite checks what is particular to a write. The view is there.
func (h *handler) checkWrite(c *client, w *wire.Write) (op.Code, string) {
	if tooLarge, err := w.Check(); err != nil {
		if tooLarge {
			return op.TooLarge, err.Error()
		}
		return op.Invalid, err.Error()
	}
	if w.Session == 0 || w.Seq == 0 {
		return op.Invalid, "a write names its session and its sequence number, both from 1"
	}
	if code, text := h.checkPlace(w.Root, w.Partition); code != 0 {
		return code, text
	}
	key := sessionKey{w.Partition, w.Session}
	if _, own := c.sessions[key]; !own {
		// A session that is not known here yet is the state machine's business:
		// it answers SessionExpired, or the node redirects.
		if owner, ok := h.n.engine.SessionOwner(w.Partition, w.Session); ok {
			if owner != c.bare {
				return op.Denied, textSession
			}
			if len(c.sessions) >= maxKnownSessions {
				clear(c.sessions)
			}
			c.sessions[key] = struct{}{}
		}
	}
	if h.n.disk.full() {
		return op.Full, h.n.disk.text()
	}
	return 0, ""
}

// checkPlace refuses a root that is sent to a partition that it does not belong
// to: written there it could not be found again.
func (h *handler) checkPlace(root string, partition uint32) (op.Code, string) {
	if want := h.n.view.Load().doc.Partition(root); want != partition {
		return op.Invalid, fmt.Sprintf("root %q is in partition %d, not in %d; see the protocol's section on the ring", root, want, partition)
	}
	return 0, ""
}
