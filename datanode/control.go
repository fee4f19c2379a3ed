package datanode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// fetchTimeout is the longest that one member may take to send its document.
const fetchTimeout = 3 * time.Second

// fetchAgain is the pause before a newer document that could not be fetched is
// tried again.
const fetchAgain = time.Second

// later hands a task to the control goroutine; false when too many wait.
func (n *Node) later(task func(context.Context)) bool {
	select {
	case n.tasks <- task:
		return true
	default:
		return false
	}
}

func (n *Node) controlLoop(ctx context.Context) {
	retry := time.NewTicker(fetchAgain)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case task := <-n.tasks:
			task(ctx)
		case <-retry.C:
			n.catchUp(ctx)
		}
	}
}

func (n *Node) epoch() uint64 {
	if v := n.view.Load(); v != nil {
		return v.doc.Epoch
	}
	return 0
}

// onRing is called by the engine, which has taken over the document itself.
func (n *Node) onRing(doc *ring.Document) {
	n.later(func(context.Context) {
		if err := n.publish(doc); err != nil {
			n.log.Error("ring document not taken over", "epoch", doc.Epoch, "err", err)
		}
	})
}

// announced notes the epoch of a member's ring; the control goroutine fetches
// the document if it is newer than ours and the engine does not bring it.
func (n *Node) announced(epoch uint64) {
	for {
		old := n.wanted.Load()
		if epoch <= old {
			return
		}
		if n.wanted.CompareAndSwap(old, epoch) {
			n.later(n.catchUp)
			return
		}
	}
}

// catchUp fetches the ring document from members until it is as new as any
// announced. Members of the meta group are asked first: they keep it.
func (n *Node) catchUp(ctx context.Context) {
	v := n.view.Load()
	if v == nil || v.doc.Epoch >= n.wanted.Load() {
		return
	}
	ids := slices.Clone(v.doc.Meta)
	for _, m := range v.doc.Members {
		if !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	for _, id := range ids {
		p := v.peers[id]
		if p == nil || p.away.Load() {
			continue
		}
		_, address, _ := n.way(p)
		doc, err := n.fetch(ctx, p.addresses[address])
		if err == nil && doc != nil {
			err = n.adopt(doc)
		}
		if errors.Is(err, replication.ErrStranger) {
			return // others would say the same
		}
		if err != nil {
			n.log.Warn("newer ring document not fetched", "from", p.jid, "epoch", n.wanted.Load(), "err", err)
		}
		if n.epoch() >= n.wanted.Load() || ctx.Err() != nil {
			return
		}
	}
}

// fetchRing asks a full JID for its document; nil when it has no newer one.
func (n *Node) fetchRing(ctx context.Context, jid string) (*ring.Document, error) {
	conn := n.streams.conn()
	if conn == nil {
		return nil, errors.New("not logged in")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	el, err := n.iqs.Do(ctx, conn, jid, "get", wire.AppendRing(nil, n.epoch(), nil))
	if err != nil {
		return nil, err
	}
	_, b, err := wire.ParseRing(el)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	return ring.Decode(b)
}

// adopt takes over a document that came from an operator or a member: checks
// who it says this node is, lets the engine put it on disk and start replicas,
// and serves by it.
func (n *Node) adopt(doc *ring.Document) error {
	if v := n.view.Load(); v != nil {
		if doc.Cluster != v.doc.Cluster {
			return fmt.Errorf("%w: this node belongs to cluster %s, the document is of %s", replication.ErrForeignCluster, v.doc.Cluster, doc.Cluster)
		}
		if doc.Epoch <= v.doc.Epoch {
			return nil
		}
	}
	if why := n.strangerIn(doc); why != "" {
		n.estrange(why, n.hasLeft(doc))
		return fmt.Errorf("%w: %s", replication.ErrStranger, why)
	}
	if err := n.engine.Reconcile(doc); err != nil {
		return err
	}
	return n.publish(doc)
}

// strangerIn says why this store is not the member that a document has under
// this node's JID; "" when it is.
func (n *Node) strangerIn(doc *ring.Document) string {
	m, ok := doc.ByJID(n.full)
	switch {
	case ok && m.Store == n.store:
		return ""
	case ok && m.State == ring.Joining:
		return fmt.Sprintf("the ring has given the place of %s to store %s, but the data directory has %s: its disk was replaced. Put the new one in", n.full, m.Store, n.store)
	case ok:
		return fmt.Sprintf("the ring knows %s with store %s, but the data directory has %s. A wiped disk is a new member: put the old disk back, or replace the member", n.full, m.Store, n.store)
	case n.hasLeft(doc):
		return fmt.Sprintf("%s has left cluster %s, and its data was moved to others: stop it; to let it join again start it with an empty data directory", n.full, doc.Cluster)
	default:
		return fmt.Sprintf("the ring of cluster %s has no member %s", doc.Cluster, n.full)
	}
}

// estrange serves nothing from here on. Who has left as asked need not alarm anybody.
func (n *Node) estrange(why string, left bool) {
	if old := n.stranger.Swap(&why); old == nil || *old != why {
		level, text := slog.LevelError, "this data node is a stranger and serves nothing"
		if left {
			level, text = slog.LevelInfo, "this data node is no member any more and serves nothing"
		}
		n.log.Log(context.Background(), level, text, "why", why)
	}
	n.announcer.poke()
}

// hasLeft tells whether this node was a member and a document has nobody in its place.
func (n *Node) hasLeft(doc *ring.Document) bool {
	_, ok := doc.ByJID(n.full)
	return !ok && n.dir != nil && n.dir.Member() != 0
}

// publish makes a document that the engine has the one to serve by.
func (n *Node) publish(doc *ring.Document) error {
	old := n.view.Load()
	if old != nil && doc.Epoch <= old.doc.Epoch {
		return nil
	}
	v, err := newView(doc, n.store, old)
	if err != nil {
		return err
	}
	if v.self == 0 {
		n.estrange(n.strangerIn(doc), n.hasLeft(doc))
	} else {
		n.stranger.Store(nil)
	}
	n.view.Store(v)
	n.log.Info("serving by ring", "epoch", doc.Epoch, "cluster", doc.Cluster, "member", v.self, "members", len(doc.Members))
	n.announcer.poke()
	n.tellServed(doc.Epoch)
	return nil
}
