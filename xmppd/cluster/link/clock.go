package link

import (
	"fmt"
	"time"
)

// refusedClock: the clocks of the two servers differ by more than maxSkew. What depends on clocks (which of
// two sessions was bound later, time stamps of stored messages, certificates) would be wrong.
const refusedClock = "clock"

const maxSkew = 2 * time.Minute

// skewed is the answer to a hello of a server with a wrong clock, or of one that looks so from here; nil if
// the clocks agree, or the server doesn't say.
func (c *Config) skewed(h *hello, now time.Time) *RefusedError {
	if h.Time == 0 || c.Faults.AnyClock {
		return nil
	}
	off := time.UnixMilli(h.Time).Sub(now).Round(time.Second)
	if off.Abs() <= maxSkew {
		return nil
	}
	where := "ahead of"
	if off < 0 {
		where = "behind"
	}
	return &RefusedError{refusedClock, fmt.Sprintf("the clock of server %s is %v %s that of server %s: set the wrong one right, by NTP", h.From, off.Abs(), where, c.Name)}
}
