package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/ring"
)

// BootstrapOptions says what ring to make; zero fields are ring.New's defaults.
type BootstrapOptions struct {
	Partitions int
	Replicas   int
}

// Bootstrap makes a cluster of the data nodes with the JIDs given, and
// returns when every partition has a leader. It may be run again at any time:
// the same nodes and options make the same document, a node that has it already
// says so, and one that was missed gets it. Nodes of another cluster, and nodes
// whose disk was wiped since, are refused before anything is changed.
//
// An error with a document says that the cluster exists but something is still
// missing: run it again.
func (c *Client) Bootstrap(ctx context.Context, jids []string, opt BootstrapOptions) (*ring.Document, error) {
	if len(jids) == 0 {
		return nil, errors.New("name the data nodes of the cluster")
	}
	jids = slices.Clone(jids)
	for i, jid := range jids {
		if !strings.Contains(jid, "/") {
			jids[i] = jid + "/" + nodeResource
		}
	}
	ids, err := c.identities(ctx, jids)
	if err != nil {
		return nil, err
	}
	doc, err := c.existing(ctx, ids)
	if err != nil {
		return nil, err
	}
	if doc == nil {
		if doc, err = firstDocument(ids, opt); err != nil {
			return nil, err
		}
	}
	if err := checkOptions(doc, opt); err != nil {
		return nil, err
	}
	accepted, err := c.hand(ctx, doc)
	if !majority(doc.Meta, accepted) {
		return nil, fmt.Errorf("the ring was accepted by %d of %d nodes, no majority of its %d keepers: run bootstrap again: %w", len(accepted), len(doc.Members), len(doc.Meta), err)
	}
	c.nodes.members(doc)
	if err != nil {
		return doc, fmt.Errorf("the cluster exists, but not all nodes have its ring: run bootstrap again: %w", err)
	}
	return doc, c.awaitLeaders(ctx, doc)
}

// identities asks every node who it is; all must answer.
func (c *Client) identities(ctx context.Context, jids []string) ([]*Identity, error) {
	ids := make([]*Identity, len(jids))
	errs := make([]error, len(jids))
	var wg sync.WaitGroup
	for i, jid := range jids {
		wg.Go(func() { ids[i], errs[i] = c.Identity(ctx, jid) })
	}
	wg.Wait()
	if err := absent(jids, errs); err != nil {
		return nil, fmt.Errorf("every data node must answer before a cluster is made: %w", err)
	}
	for i, id := range ids {
		id.JID = jids[i] // as the server routes it, whatever the node says
		for _, other := range ids[:i] {
			if other.Store == id.Store {
				return nil, fmt.Errorf("%s and %s have the same store %s: a data directory was copied, or a node named twice", other.JID, id.JID, id.Store)
			}
		}
	}
	return ids, nil
}

// absent joins what went wrong with the nodes; those that the server does not
// find (RFC 6121 section 8.5.3.2.3) are told together, with what to do.
func absent(jids []string, errs []error) error {
	var away []string
	var others []error
	for i, err := range errs {
		if isCondition(err, "service-unavailable") || isCondition(err, "remote-server-not-found") || isCondition(err, "item-not-found") {
			away = append(away, strings.TrimSuffix(jids[i], "/"+nodeResource))
		} else {
			others = append(others, err)
		}
	}
	if len(away) > 0 {
		others = append(others, fmt.Errorf("not on line as a data node: %s; check the name, and that it runs: `ringctl status` lists those that wait", strings.Join(away, ", ")))
	}
	return errors.Join(others...)
}

// existing returns the ring that some of the nodes already have, nil if none
// has; it refuses nodes that do not fit it.
func (c *Client) existing(ctx context.Context, ids []*Identity) (*ring.Document, error) {
	var doc *ring.Document
	for _, id := range ids {
		if id.Cluster == "" {
			continue
		}
		d, err := c.ringOf(ctx, id.JID, 0)
		if err != nil {
			return nil, fmt.Errorf("%s belongs to cluster %s, but its ring cannot be read: %w", id.JID, id.Cluster, err)
		}
		if doc != nil && d.Cluster != doc.Cluster {
			return nil, fmt.Errorf("%s belongs to cluster %s, others to %s: a data node can be in one cluster only", id.JID, d.Cluster, doc.Cluster)
		}
		if doc == nil || d.Epoch > doc.Epoch {
			doc = d
		}
	}
	if doc == nil {
		return nil, nil
	}
	for _, id := range ids {
		m, ok := doc.ByJID(id.JID)
		switch {
		case !ok:
			return nil, fmt.Errorf("cluster %s exists and %s is not in it: a node joins a running cluster, it is not bootstrapped into it", doc.Cluster, id.JID)
		case m.Store != id.Store:
			return nil, fmt.Errorf("%s is a stranger: the ring knows it with store %s, its disk now has %s. A wiped disk is a new member: give it an account of its own, or put the old disk back", id.JID, m.Store, id.Store)
		}
	}
	for _, m := range doc.Members {
		if !slices.ContainsFunc(ids, func(id *Identity) bool { return id.JID == m.JID }) {
			return nil, fmt.Errorf("cluster %s exists with %s as a member too: name all its nodes to complete its bootstrap", doc.Cluster, m.JID)
		}
	}
	return doc, nil
}

// firstDocument makes the ring. Members are sorted and the cluster's UUID is
// derived from them (UUID version 5), so that a second bootstrap, also one that
// runs at the same time, makes the same document and not a second cluster.
func firstDocument(ids []*Identity, opt BootstrapOptions) (*ring.Document, error) {
	slices.SortFunc(ids, func(a, b *Identity) int {
		if len(a.JID) != len(b.JID) {
			return len(a.JID) - len(b.JID) // dn2 before dn10
		}
		return strings.Compare(a.JID, b.JID)
	})
	members := make([]ring.Member, len(ids))
	name := fmt.Sprintf("%d partitions, %d replicas", opt.Partitions, opt.Replicas)
	for i, id := range ids {
		members[i] = ring.Member{JID: id.JID, Store: id.Store, Zone: id.Zone, State: ring.Active}
		name += "\n" + id.JID + " " + id.Store + " " + id.Zone
	}
	return ring.New(members, ring.Options{
		Cluster:    uuid.NewSHA1(uuid.NameSpaceURL, []byte(adminxml.NS+"\n"+name)).String(),
		Partitions: opt.Partitions,
		Replicas:   opt.Replicas,
	})
}

func checkOptions(doc *ring.Document, opt BootstrapOptions) error {
	if opt.Partitions != 0 && opt.Partitions != doc.Partitions {
		return fmt.Errorf("the cluster exists with %d partitions, not %d: the number is fixed when it is made", doc.Partitions, opt.Partitions)
	}
	if opt.Replicas != 0 && opt.Replicas != doc.Replicas {
		return fmt.Errorf("the cluster exists with %d replicas, not %d", doc.Replicas, opt.Replicas)
	}
	return nil
}

// hand gives the document to all members and returns those that have it on disk.
func (c *Client) hand(ctx context.Context, doc *ring.Document) (accepted []uint64, err error) {
	b, err := ring.Encode(doc)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, m := range doc.Members {
		wg.Go(func() {
			var id Identity
			e := c.ask(ctx, m.JID, "set", adminxml.CmdBootstrap, string(b), &id)
			mu.Lock()
			defer mu.Unlock()
			if e != nil {
				err = errors.Join(err, e)
				return
			}
			accepted = append(accepted, m.ID)
		})
	}
	wg.Wait()
	return accepted, err
}

func majority(group, have []uint64) bool {
	n := 0
	for _, id := range group {
		if slices.Contains(have, id) {
			n++
		}
	}
	return 2*n > len(group)
}

// awaitLeaders waits until every partition has a leader.
func (c *Client) awaitLeaders(ctx context.Context, doc *ring.Document) error {
	t := time.NewTicker(25 * time.Millisecond)
	defer t.Stop()
	for {
		led, all := c.AllLed(ctx, doc)
		if all {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster exists, but only %d of %d partitions have a leader yet: %w", led, doc.Partitions, context.Cause(ctx))
		case <-t.C:
		}
	}
}
