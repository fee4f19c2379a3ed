package admin

import (
	"context"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// ringOf fetches the ring document that one node knows; nil when its epoch is
// the one given.
func (c *Client) ringOf(ctx context.Context, jid string, known uint64) (*ring.Document, error) {
	el, err := c.do(ctx, jid, "get", wire.AppendRing(nil, known, nil))
	if err != nil {
		return nil, fmt.Errorf("ring of %s: %w", jid, err)
	}
	_, b, err := wire.ParseRing(el)
	if err != nil {
		return nil, fmt.Errorf("ring of %s: %w", jid, err)
	}
	if len(b) == 0 && known != 0 {
		return nil, nil
	}
	doc, err := ring.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("ring of %s: %w", jid, err)
	}
	return doc, nil
}
