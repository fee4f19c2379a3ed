package admin

import (
	"context"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/ring"
)

// spreadPause is between two looks at what presence tells.
const spreadPause = 20 * time.Millisecond

// Spread waits until the members of doc that are online tell that they work by it,
// or by a later one, or until ctx ends. It returns the JIDs of those that do not.
func (c *Client) Spread(ctx context.Context, doc *ring.Document) []string {
	for {
		behind := behindOf(doc, c.Nodes())
		if len(behind) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return behind
		case <-time.After(spreadPause):
		}
	}
}

// behindOf lists the members online with an older document. Whoever is not the
// member that doc knows, by its store, is none.
func behindOf(doc *ring.Document, nodes []NodeView) (jids []string) {
	for _, v := range nodes {
		member := slices.ContainsFunc(doc.Members, func(m ring.Member) bool { return m.JID == v.JID && m.Store == v.Health.Store })
		if v.Online && member && v.Health.Epoch < doc.Epoch {
			jids = append(jids, v.JID)
		}
	}
	return jids
}
