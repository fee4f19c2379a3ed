package datanode

import (
	"context"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// propose puts an operator's ring document into the meta group's log. tell is
// called once, from any goroutine.
func (n *Node) propose(text string, tell func(adminxml.Proposed)) {
	v := n.view.Load()
	if v == nil {
		tell(adminxml.Proposed{Outcome: adminxml.OutcomeUnavailable, Text: textJoining})
		return
	}
	doc, err := ring.Decode([]byte(text))
	if err == nil && doc.Epoch > v.doc.Epoch {
		err = v.doc.CheckEdit(doc)
	}
	switch {
	case err != nil && doc != nil && doc.Epoch > v.doc.Epoch+1:
		tell(n.notTaken("this node's ring is of an older epoch; ask again"))
	case err != nil:
		tell(adminxml.Proposed{Outcome: adminxml.OutcomeInvalid, Epoch: v.doc.Epoch, Text: err.Error()})
	case doc.Epoch <= v.doc.Epoch:
		tell(adminxml.Proposed{Outcome: adminxml.OutcomeConflict, Epoch: v.doc.Epoch, Text: "the ring has changed; look at it and decide again"})
	default:
		n.proposeRing(doc.Epoch-1, []byte(text), func(res op.WriteResult) {
			if res.Code == op.Conflict && res.Revision == 0 {
				n.proposeFirst(v.doc, doc.Epoch-1, []byte(text), tell)
				return
			}
			n.tellWhenServed(res, tell)
		})
	}
}

// tellWhenServed tells of a document that was taken over once this node serves by
// it, so that whoever proposed it finds it when asking next. It runs on the
// control goroutine, and so does publish.
func (n *Node) tellWhenServed(res op.WriteResult, tell func(adminxml.Proposed)) {
	if res.Code != op.OK || n.epoch() >= res.Revision {
		tell(n.proposed(res))
		return
	}
	n.untold = append(n.untold, untold{res.Revision, func() { tell(n.proposed(res)) }})
}

// untold is an answer that waits for a ring document to be served.
type untold struct {
	epoch uint64
	tell  func()
}

func (n *Node) tellServed(epoch uint64) {
	n.untold = slices.DeleteFunc(n.untold, func(u untold) bool {
		if u.epoch <= epoch {
			u.tell()
		}
		return u.epoch <= epoch
	})
}

// proposeFirst is for a meta group that was never asked to keep a document: the
// bootstrap gave the first one to every node by hand. It comes first.
func (n *Node) proposeFirst(first *ring.Document, expect uint64, next []byte, tell func(adminxml.Proposed)) {
	b, err := ring.Encode(first)
	if err != nil || first.Epoch != 1 {
		tell(n.notTaken("the group that keeps the ring has none"))
		return
	}
	n.proposeRing(0, b, func(res op.WriteResult) {
		if res.Code != op.OK && res.Code != op.Conflict {
			tell(n.proposed(res))
			return
		}
		n.proposeRing(expect, next, func(res op.WriteResult) { n.tellWhenServed(res, tell) })
	})
}

// proposeRing hands a document to the engine. done may run on one of its
// goroutines, so what follows there is handed to the control goroutine.
func (n *Node) proposeRing(expect uint64, doc []byte, done func(op.WriteResult)) {
	n.engine.ProposeBatch([]replication.Proposal{{
		Group: ring.MetaPartition,
		Cmd:   state.EncodeRing(nil, time.Now().UnixMilli(), expect, doc),
		Done: func(res op.WriteResult) {
			if !n.later(func(context.Context) { done(res) }) {
				n.log.Warn("the outcome of a ring proposal is not told: busy", "epoch", expect+1, "code", res.Code)
			}
		},
	}})
}

// proposed says what an engine's result means for the ring.
func (n *Node) proposed(res op.WriteResult) adminxml.Proposed {
	p := adminxml.Proposed{Epoch: max(res.Revision, n.epoch()), Text: res.Text}
	switch res.Code {
	case op.OK:
		p.Outcome = adminxml.OutcomeOK
	case op.Conflict:
		p.Outcome = adminxml.OutcomeConflict
	case op.Invalid:
		p.Outcome = adminxml.OutcomeInvalid
	case op.Retry:
		p.Outcome = adminxml.OutcomeUnknown
	default:
		return n.notTaken(res.Text)
	}
	return p
}

// notTaken says that the leader is to be asked, or that there is none now.
func (n *Node) notTaken(text string) adminxml.Proposed {
	p := adminxml.Proposed{Outcome: adminxml.OutcomeUnavailable, Epoch: n.epoch(), Text: text}
	if v := n.view.Load(); v != nil {
		if id, ok := n.engine.LeaderOf(ring.MetaPartition); ok && id != v.self {
			m, _ := v.doc.Member(id)
			p.Leader = m.JID
		}
	}
	return p
}
