package appclient

import "context"

// Faults are mistakes that tests seed in a client.
type Faults struct {
	NewSeqOnRetry, UnknownAsUnavailable, FloorPassesLive bool
	FloorPassesUnknown, MergedTooEarly, WatchSkips       bool
	UpdateUnchecked, WatchesAbandoned                    bool
}

// DialWith is Dial of a client with mistakes.
func DialWith(ctx context.Context, cfg Config, f Faults) (*Client, error) {
	return dial(ctx, cfg, faults{
		f.NewSeqOnRetry, f.UnknownAsUnavailable, f.FloorPassesLive,
		f.FloorPassesUnknown, f.MergedTooEarly, f.WatchSkips, f.UpdateUnchecked, f.WatchesAbandoned,
	})
}

// SetRoom sets how many bytes of values wait for the consumer of a watch or scan.
func (c *Client) SetRoom(bytes int) { c.room = bytes }
