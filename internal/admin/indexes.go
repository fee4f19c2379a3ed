package admin

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/ring"
)

// ReadyIndexes tells, by the number of an index, in how many partitions it can be
// queried, as their leaders say. Partitions whose leader does not answer count as
// not ready. Errors: ErrNotOperator.
func (c *Client) ReadyIndexes(ctx context.Context, doc *ring.Document) (map[uint32]int, error) {
	answers, _, err := c.statuses(ctx, doc, adminxml.WithIndexes)
	if err != nil {
		return nil, err
	}
	return sumReady(doc, answers), nil
}

// sumReady adds up. Where a leader that was deposed has not heard of it a partition
// may be counted twice for a moment: never more than there are.
func sumReady(doc *ring.Document, answers map[uint64]*NodeStatus) map[uint32]int {
	ready := make(map[uint32]int, len(doc.Indexes))
	for _, x := range doc.Indexes {
		sum := 0
		for _, s := range answers {
			sum += s.Indexes[x.ID]
		}
		ready[x.ID] = min(sum, doc.Partitions)
	}
	return ready
}
