package datanode

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// look asks a data node of a running cluster whether its ring has this node,
// which is in none, and takes the document over if it does. The first document of
// all comes from an operator. A node is looked at again until it says more.
func (n *Node) look(jid string) {
	n.sighted.Store(&jid)
	n.later(n.lookAgain)
}

func (n *Node) lookAgain(ctx context.Context) {
	jid := n.sighted.Load()
	if jid == nil || n.view.Load() != nil {
		return
	}
	doc, err := n.fetch(ctx, *jid)
	if err != nil || doc == nil {
		n.log.Debug("ring of a running cluster not readable", "from", *jid, "err", err)
		return
	}
	n.sighted.Store(nil)
	m, named := doc.ByJID(n.full)
	_, member := doc.ByJID(wire.NodeJID(*jid))
	switch {
	case !named || !member:
	case !n.isContact(ctx, *jid):
		n.log.Warn("a ring that names this node comes from somebody who is not in its roster, and is not taken over", "from", *jid, "cluster", doc.Cluster)
	case m.Store != n.store:
		n.estrange(n.strangerIn(doc), n.hasLeft(doc))
	case doc.Epoch == 1:
		n.log.Warn("the ring has this node, but its bootstrap was interrupted: run bootstrap again", "cluster", doc.Cluster)
	default:
		n.log.Info("this node joins a cluster", "cluster", doc.Cluster, "member", m.ID, "from", *jid)
		if err := n.adopt(doc); err != nil {
			n.log.Error("ring of the cluster to join not taken over", "from", *jid, "err", err)
		}
	}
}

// isContact says whether a JID is in the roster (RFC 6121 section 2): anybody may
// send presence, and not everybody is to say where this node belongs.
func (n *Node) isContact(ctx context.Context, jid string) bool {
	contacts, err := n.contacts(ctx)
	if err != nil {
		n.log.Warn("roster not fetched", "err", err)
		return false
	}
	bare, _, _ := strings.Cut(jid, "/")
	return slices.Contains(contacts, bare)
}

// fetchContacts lists the bare JIDs of the roster.
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
	var out []string
	p := stanza.Parse(el)
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev == stanza.Start && string(p.Name()) == "item" {
			jid, _ := p.Attr("jid")
			out = append(out, string(jid))
		}
	}
	return out, nil
}
