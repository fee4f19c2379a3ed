package admin

import (
	"context"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// ringOf fetches the ring document that one node knows.
func (c *Client) ringOf(ctx context.Context, jid string) (*ring.Document, error) {
	el, err := c.do(ctx, jid, "get", wire.AppendRing(nil, 0, nil))
	if err != nil {
		return nil, fmt.Errorf("ring of %s: %w", jid, err)
	}
	_, b, err := wire.ParseRing(el)
	if err != nil {
		return nil, fmt.Errorf("ring of %s: %w", jid, err)
	}
	doc, err := ring.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("ring of %s: %w", jid, err)
	}
	return doc, nil
}
