package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// driveEvery is the time between looks at how far a running change has come.
const driveEvery = 500 * time.Millisecond

// Errors of ProposeRing.
var (
	// ErrRingChanged: the document is not that of the expected epoch any more. The
	// proposal was not applied; look at the new document and decide again.
	ErrRingChanged = errors.New("the ring has changed")
	// ErrNotMetaLeader: another node leads the meta group (LeaderOf tells, if it is
	// known). The proposal was not applied.
	ErrNotMetaLeader = errors.New("this node does not lead the meta group")
	// ErrRingUnknown: leadership was lost, or the context ended, under way. Whether
	// the proposal was or will be applied is unknown; read the document again.
	ErrRingUnknown = errors.New("it is unknown whether the ring document was replaced")
)

// ProposeRing replaces the ring document, if its epoch still is expectEpoch, by
// doc, whose epoch is one more. It returns when a majority of the meta group has
// it durably; Ring follows a moment later. Errors: those above, op.Full's text
// where the disk is full, and what ring.Encode finds.
func (n *Node) ProposeRing(ctx context.Context, expectEpoch uint64, doc *ring.Document) error {
	if doc.Epoch != expectEpoch+1 {
		return fmt.Errorf("a ring document of epoch %d cannot follow one of epoch %d", doc.Epoch, expectEpoch)
	}
	part := n.part(ring.MetaPartition)
	if part == nil {
		return ErrNotMetaLeader
	}
	if _, epoch := part.Ring(); epoch == 0 && expectEpoch > 0 {
		// The first document came to all nodes by the operator, not through the log.
		first := n.known.Load()
		if first == nil || first.Epoch != 1 {
			return fmt.Errorf("%w: this node does not know the first document", ErrNotMetaLeader)
		}
		if err := n.proposeRing(ctx, 0, first); err != nil && !errors.Is(err, ErrRingChanged) {
			return err
		}
	}
	return n.proposeRing(ctx, expectEpoch, doc)
}

func (n *Node) proposeRing(ctx context.Context, expect uint64, doc *ring.Document) error {
	raw, err := ring.Encode(doc)
	if err != nil {
		return fmt.Errorf("propose ring document: %w", err)
	}
	done := make(chan op.WriteResult, 1)
	n.ProposeBatch([]Proposal{{
		Group: ring.MetaPartition, Cmd: state.EncodeRing(nil, time.Now().UnixMilli(), expect, raw),
		Done: func(r op.WriteResult) { done <- r },
	}})
	select {
	case r := <-done:
		switch r.Code {
		case op.OK:
			return nil
		case op.Conflict:
			return fmt.Errorf("%w: epoch %d, not %d", ErrRingChanged, r.Revision, expect)
		case op.Redirect, op.Unavailable:
			return fmt.Errorf("%w: %s", ErrNotMetaLeader, r.Text)
		case op.Retry:
			return fmt.Errorf("%w: %s", ErrRingUnknown, r.Text)
		}
		return fmt.Errorf("propose ring document: %s", r.Text)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrRingUnknown, ctx.Err())
	}
}

// Reports is what the leaders of groups have told of their configurations since
// the running change began, by group; complete on members of the meta group only.
func (n *Node) Reports() map[uint32]ring.Report {
	var out map[uint32]ring.Report
	n.ask(func() { out = n.core.Reports() })
	return out
}

// drive takes the running change further while this node leads the meta group.
// All it knows is in the document and in the reports: whoever leads next goes on
// from there.
func (n *Node) drive() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n.wg.Go(func() {
		select {
		case <-n.quit:
		case <-ctx.Done():
		}
		cancel()
	})
	ticker := time.NewTicker(driveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-n.quit:
			return
		case <-ticker.C:
		}
		next, epoch := n.advance()
		if next == nil {
			continue
		}
		if err := n.ProposeRing(ctx, epoch, next); err != nil {
			// Somebody else was faster, or leads now; the next look tells.
			n.logger.Info("the running change was not taken further", "epoch", epoch, "err", err)
		}
	}
}

// advance works out the next document, nil if there is none or it is not this
// node's turn.
func (n *Node) advance() (next *ring.Document, epoch uint64) {
	doc := n.known.Load()
	if doc == nil || doc.Change == nil {
		return nil, 0
	}
	if leader, _ := n.LeaderOf(ring.MetaPartition); leader != n.cfg.Dir.Member() {
		return nil, 0
	}
	if part := n.part(ring.MetaPartition); part == nil {
		return nil, 0
	} else if _, epoch := part.Ring(); epoch != doc.Epoch {
		return nil, 0 // followRing will tell
	}
	return ring.Advance(doc, n.Reports()), doc.Epoch
}
