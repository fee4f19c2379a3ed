package appclient

import (
	"context"
	"time"
)

// Faults are mistakes that tests seed in a client.
type Faults struct {
	NewSeqOnRetry, UnknownAsUnavailable, FloorPassesLive bool
	FloorPassesUnknown, MergedTooEarly, WatchSkips       bool
	UpdateUnchecked, WatchesAbandoned, FullIsFinal       bool
	VagueAccepted, AnySize, LargeRefused, WatchMixesUp   bool
	WatchAnywhere, AnyTermConfirms, StreamLostWaits      bool
	OwnConditionFirst, WatchUnheard                      bool
}

// DialWith is Dial of a client with mistakes.
func DialWith(ctx context.Context, cfg Config, f Faults) (*Client, error) {
	return dial(ctx, cfg, faults{
		f.NewSeqOnRetry, f.UnknownAsUnavailable, f.FloorPassesLive,
		f.FloorPassesUnknown, f.MergedTooEarly, f.WatchMixesUp, f.WatchSkips, f.WatchUnheard, f.UpdateUnchecked, f.OwnConditionFirst, f.WatchesAbandoned, f.FullIsFinal,
		f.AnySize, f.LargeRefused, f.WatchAnywhere, f.AnyTermConfirms, f.StreamLostWaits, f.VagueAccepted,
	})
}

// SetFullFor sets how long a call goes on where all who answer have full disks.
func (c *Client) SetFullFor(d time.Duration) {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	c.engine.fullFor = d
}

// SetRoom sets how many bytes of values wait for the consumer of a watch or scan.
func (c *Client) SetRoom(bytes int) { c.room = bytes }
