package datanode

import (
	"context"
	"errors"
	"slices"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// propose hands an operator's ring document to the group that keeps the ring. It
// runs on the control goroutine, and so does tell, once.
func (n *Node) propose(ctx context.Context, text string, tell func(adminxml.Proposed)) {
	v := n.view.Load()
	if v == nil {
		tell(adminxml.Proposed{Outcome: adminxml.OutcomeUnavailable, Text: textJoining})
		return
	}
	doc, err := ring.Decode([]byte(text))
	switch {
	case err != nil:
		tell(n.outcome(adminxml.OutcomeInvalid, err.Error()))
		return
	case doc.Epoch <= v.doc.Epoch:
		tell(n.outcome(adminxml.OutcomeConflict, "the ring has changed; look at it and decide again"))
		return
	case doc.Epoch > v.doc.Epoch+1:
		tell(n.notTaken("this node's ring is of an older epoch; ask again"))
		return
	}
	if err := v.doc.CheckEdit(doc); err != nil {
		tell(n.outcome(adminxml.OutcomeInvalid, err.Error()))
		return
	}
	n.proposing.Go(func() {
		err := n.engine.ProposeRing(ctx, doc.Epoch-1, doc)
		if !n.later(func(context.Context) { n.tellProposed(doc.Epoch, err, tell) }) {
			n.log.Warn("the outcome of a ring proposal is not told: busy", "epoch", doc.Epoch, "err", err)
		}
	})
}

// tellProposed tells what became of a document. Of one that was taken over it
// tells once this node serves by it, so that whoever proposed it finds it when
// asking next.
func (n *Node) tellProposed(epoch uint64, err error, tell func(adminxml.Proposed)) {
	switch {
	case err == nil && n.epoch() < epoch:
		n.untold = append(n.untold, untold{epoch, func() { tell(n.outcome(adminxml.OutcomeOK, "")) }})
	case err == nil:
		tell(n.outcome(adminxml.OutcomeOK, ""))
	case errors.Is(err, replication.ErrRingChanged):
		tell(n.outcome(adminxml.OutcomeConflict, err.Error()))
	case errors.Is(err, replication.ErrRingUnknown):
		tell(n.outcome(adminxml.OutcomeUnknown, err.Error()))
	default:
		tell(n.notTaken(err.Error()))
	}
}

// untold is an answer that waits until a ring document is served.
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

func (n *Node) outcome(outcome, text string) adminxml.Proposed {
	return adminxml.Proposed{Outcome: outcome, Epoch: n.epoch(), Text: text}
}

// notTaken says that the leader is to be asked, or that there is none now.
func (n *Node) notTaken(text string) adminxml.Proposed {
	p := n.outcome(adminxml.OutcomeUnavailable, text)
	if v := n.view.Load(); v != nil {
		if id, ok := n.engine.LeaderOf(ring.MetaPartition); ok && id != v.self {
			m, _ := v.doc.Member(id)
			p.Leader = m.JID
		}
	}
	return p
}
