package datanode

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/contacts"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// look has the data nodes of the roster asked whether their ring has this node, which
// is in none. Presence with health in it is the reason, but says no more than that there
// may be a cluster: anybody can send it.
func (n *Node) look() {
	select {
	case n.sighted <- struct{}{}:
	default: // it will
	}
}

// lookLoop looks, at most once in fetchAgain, until somebody has answered. It has a
// goroutine of its own, since whoever is asked may be silent, and the commands of
// operators, which a node without a ring needs most, have to go on.
func (n *Node) lookLoop(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.sighted:
		}
		for answered := false; !answered; {
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
			answered = n.view.Load() != nil || n.lookAround(ctx)
			pause.Reset(fetchAgain)
		}
	}
}

// lookAround asks the data nodes of the roster for their ring, one after the other, and hands on
// the first document that names this node. The first document of all comes from an
// operator. It reports whether anybody had one.
func (n *Node) lookAround(ctx context.Context) (answered bool) {
	nodes, err := n.contacts(ctx)
	if err != nil {
		n.log.Debug("roster not fetched", "err", err)
		return false
	}
	slices.Sort(nodes)
	own, _, _ := strings.Cut(n.full, "/")
	for _, bare := range nodes {
		if bare == own {
			continue
		}
		from := bare + "/" + wire.NodeResource
		doc, err := n.fetch(ctx, from)
		if err != nil || doc == nil {
			n.log.Debug("ring of a running cluster not readable", "from", from, "err", err)
			continue
		}
		answered = true
		_, named := doc.ByJID(n.full)
		if _, member := doc.ByJID(from); named && member {
			return n.later(func(context.Context) { n.offered(from, doc) })
		}
	}
	return answered
}

// offered takes over a document that names this node.
func (n *Node) offered(from string, doc *ring.Document) {
	if n.view.Load() != nil {
		return // an operator was quicker
	}
	m, _ := doc.ByJID(n.full)
	switch {
	case m.Store != n.store:
		n.estrange(n.strangerIn(doc), n.hasLeft(doc))
	case doc.Epoch == 1:
		n.log.Warn("the ring has this node, but its bootstrap was interrupted: run bootstrap again", "cluster", doc.Cluster)
	default:
		n.log.Info("this node joins a cluster", "cluster", doc.Cluster, "member", m.ID, "from", from)
		if err := n.adopt(doc); err != nil {
			n.log.Error("ring of the cluster to join not taken over", "from", from, "err", err)
		}
	}
}

// fetchContacts lists the bare JIDs of the roster that are data nodes.
func (n *Node) fetchContacts(ctx context.Context) ([]string, error) {
	conn := n.streams.conn()
	if conn == nil {
		return nil, errors.New("not logged in")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	el, err := n.iqs.Do(ctx, conn, "", "get", []byte(`<query xmlns='jabber:iq:roster'/>`))
	if err != nil {
		return nil, err
	}
	var r contacts.Roster
	r.Take(el)
	return r.List(), nil
}
