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
	textDenied   = "this account may not use the store; the data nodes name its applications with --app, the ring its grants (ringctl access)"
	textJoining  = "this data node is not part of a ring yet"
	textStranger = "this data node is a stranger to the ring and serves nothing"
	textBusy     = "too many operations of this client wait for their answers; wait for some"
	textSession  = "the session belongs to another account; open one"
	textSessions = "too many sessions of this account are in use in the partition; use those that there are, or wait until one was unused for a minute"
	textWatches  = "too many reads of changes wait; watch roots together by a prefix"
	textIQ       = "writes, opens and questions after writes travel in messages, an IQ takes reads only"
)

// refusal is the answer to an operation that gets no further.
type refusal struct {
	why        reason
	Code       op.Code
	Text       string
	RetryAfter int64
}

// turnDown answers an operation with a refusal.
func (h *handler) turnDown(r *request, k kind, tag uint64, group uint32, why refusal) {
	h.n.refused(r.c, k, &why)
	r.write(&h.n.answers, written{tag, group, op.WriteResult{Code: why.Code, Text: why.Text, RetryAfter: why.RetryAfter}})
}

// requests takes the operations of one message and gathers them for the engine. Their
// values are in its commands then, and the memory of the requests is used again.
func (h *handler) requests(c *client, id string, receipt bool, reqs []parsedRequest) {
	r := &request{c: c, id: id, receipt: receipt}
	for _, q := range reqs {
		r.left += q.Len()
		h.observe(c, q.Request)
		h.callOff(c, q.Request)
	}
	if r.left == 0 {
		c.mu.Lock()
		r.finish(&h.n.answers)
		return
	}
	if h.n.faults.ReceiptOnArrival {
		r.receipt = false
		c.mu.Lock()
		c.out.done = append(c.out.done, id)
		c.mu.Unlock()
	}
	for _, q := range reqs {
		for i := range q.Opens {
			h.open(r, &q.Opens[i])
			h.breathe()
		}
		for i := range q.Writes {
			h.write(r, &q.Writes[i])
			h.breathe()
		}
		for i := range q.Settles {
			h.settle(r, &q.Settles[i])
			h.breathe()
		}
		for i := range q.Reads {
			h.readByMessage(r, &q.Reads[i])
			h.breathe()
		}
		h.n.values.put(q.memory)
	}
}

// breathe lets the read loop have the lock while the assembly takes many operations:
// what is urgent waits for it.
func (h *handler) breathe() {
	if h.urgent.Load() > 0 {
		h.mu.Unlock()
		h.lockLow()
	}
}

func (h *handler) open(r *request, o *wire.Open) {
	answer, ok := h.admit(r.c, o.Partition, o.Bad)
	if ok {
		answer, ok = h.checkOpen(r.c, o)
	}
	if !ok {
		h.turnDown(r, kindOpen, o.Tag, o.Partition, answer)
		return
	}
	h.propose(r, kindOpen, o.Tag, o.Partition, state.EncodeOpen(nil, h.stamp(), r.c.bare), 0)
}

// checkOpen keeps one account from taking all places in a partition's table.
func (h *handler) checkOpen(c *client, o *wire.Open) (refusal, bool) {
	switch {
	case len(h.rights(c).write) == 0:
		return refusal{why: refusedAccess, Code: op.Denied, Text: "this account may not write; reads need no session"}, false
	case h.n.disk.full():
		return refusal{why: refusedFull, Code: op.Full, Text: h.n.disk.text(), RetryAfter: op.FullRetry}, false
	}
	if wait := h.n.engine.OpenWait(o.Partition, c.bare, h.stamp()); wait > 0 {
		return refusal{why: refusedSessions, Code: op.Overloaded, Text: textSessions, RetryAfter: wait}, false
	}
	return refusal{}, true
}

func (h *handler) write(r *request, w *wire.Write) {
	answer, ok := h.admit(r.c, w.Partition, w.Bad)
	if ok {
		answer, ok = h.checkWrite(r.c, w)
	}
	if !ok {
		h.turnDown(r, kindWrite, w.Tag, w.Partition, answer)
		return
	}
	h.now()
	h.n.hot.wrote(w.Root, w.Mutations, h.at)
	h.propose(r, kindWrite, w.Tag, w.Partition, state.EncodeWrite(h.n.commands.get(), h.stamp(), r.c.owner, &w.Write), h.indexCost(&w.Write))
}

// indexCost is what a write counts for because of indexes.
func (h *handler) indexCost(w *op.Write) int64 {
	if h.n.faults.IndexesFree {
		return 0
	}
	return int64(state.IndexCost(h.n.view.Load().doc.Indexes, w))
}

// propose gathers a command for the engine, which makes that many bytes of entries in indexes.
func (h *handler) propose(r *request, k kind, tag uint64, group uint32, cmd []byte, indexed int64) {
	n, cost, begun := h.n, proposalCost(cmd)+indexed, h.at
	n.inFlight.Add(1)
	r.c.inFlight.Add(1)
	n.fair.entered(cost)
	h.proposers = append(h.proposers, asker{r.c, cost})
	h.proposals = append(h.proposals, replication.Proposal{Group: group, Cmd: cmd, Done: func(res op.WriteResult) {
		n.inFlight.Add(-1)
		r.c.inFlight.Add(-1)
		n.fair.ended(cost)
		n.counts.ended(k, res.Code, begun)
		r.write(&n.answers, written{tag, group, res})
	}})
}

// admit says whether a client may do anything in a partition; else the answer.
func (h *handler) admit(c *client, partition uint32, bad string) (refusal, bool) {
	h.n.operations.Add(1)
	v := h.n.view.Load()
	switch {
	case bad != "":
		return refusal{why: refusedInvalid, Code: op.Invalid, Text: bad}, false
	case h.unserving() != "" && !h.n.faults.DeniesBlindly:
		// Who may do what it does not know, or not any more: so it denies nothing.
		return refusal{why: refusedState, Code: op.Unavailable, Text: h.unserving()}, false
	case h.rights(c).none():
		return refusal{why: refusedAccess, Code: op.Denied, Text: textDenied}, false
	case uint64(partition) >= uint64(v.doc.Partitions):
		return refusal{why: refusedInvalid, Code: op.Invalid, Text: fmt.Sprintf("partition %d of %d: they count from 0", partition, v.doc.Partitions)}, false
	case c.inFlight.Load() >= maxInFlight:
		return refusal{why: refusedOps, Code: op.Overloaded, Text: textBusy, RetryAfter: retryAfter}, false
	}
	return refusal{}, true
}

// unserving says why the node serves nobody; "" when it does.
func (h *handler) unserving() string {
	switch {
	case h.n.stranger.Load() != nil:
		return textStranger
	case h.n.view.Load() == nil:
		return textJoining
	}
	return ""
}

// checkWrite checks what is particular to a write. The view is there.
func (h *handler) checkWrite(c *client, w *wire.Write) (refusal, bool) {
	if tooLarge, err := w.Check(); err != nil {
		if tooLarge {
			return refusal{why: refusedSize, Code: op.TooLarge, Text: err.Error()}, false
		}
		return refusal{why: refusedInvalid, Code: op.Invalid, Text: err.Error()}, false
	}
	if w.Session == 0 || w.Seq == 0 || w.Seq > op.MaxSeq {
		return refusal{why: refusedInvalid, Code: op.Invalid, Text: "a write names its session and its sequence number, both from 1, the latter below 2^63"}, false
	}
	if answer, ok := h.checkPlace(w.Root, w.Partition); !ok {
		return answer, false
	}
	if !h.rights(c).mayWrite(w.Root) {
		return refusal{why: refusedAccess, Code: op.Denied, Text: fmt.Sprintf("this account may not write root %q; see ringctl access", w.Root)}, false
	}
	if answer, ok := h.checkSession(c, w.Partition, w.Session); !ok {
		return answer, false
	}
	if h.n.disk.full() {
		return refusal{why: refusedFull, Code: op.Full, Text: h.n.disk.text(), RetryAfter: op.FullRetry}, false
	}
	return refusal{}, true
}

// checkSession refuses another account's session. One that is not known here yet
// is the state machine's business: it answers SessionExpired, or the node redirects.
func (h *handler) checkSession(c *client, partition uint32, s op.Session) (refusal, bool) {
	key := sessionKey{partition, s}
	if _, own := c.sessions[key]; own {
		return refusal{}, true
	}
	owner, ok := h.n.engine.SessionOwner(partition, s)
	if !ok {
		return refusal{}, true
	}
	if owner != c.bare {
		return refusal{why: refusedSession, Code: op.Denied, Text: textSession}, false
	}
	if len(c.sessions) >= maxKnownSessions {
		clear(c.sessions)
	}
	c.sessions[key] = struct{}{}
	return refusal{}, true
}

// checkPlace refuses a root that is sent to a partition that it does not belong
// to: written there it could not be found again.
func (h *handler) checkPlace(root string, partition uint32) (refusal, bool) {
	if want := h.n.view.Load().doc.Partition(root); want != partition {
		return refusal{why: refusedInvalid, Code: op.Invalid, Text: fmt.Sprintf("root %q is in partition %d, not in %d; see the protocol's section on the ring", root, want, partition)}, false
	}
	return refusal{}, true
}
