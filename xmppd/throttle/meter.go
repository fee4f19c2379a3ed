package throttle

import (
	"sync/atomic"
	"time"
)

// Rate is how much may come in a second, and in one burst after a rest. The zero Rate is no limit.
type Rate struct{ PerSecond, Burst int64 }

// Meter measures against a Rate, as a token bucket that a single number stands for: when all that
// was spent would have come in at the rate. The zero Meter has its whole burst. Safe for concurrent
// use; Spend is cheap enough for each read of a connection.
type Meter struct{ paid atomic.Int64 } // in ns

// Spend counts n at a time (in ns, of a clock that is not set back) and returns how long to wait before the next Spend; 0
// while the rate is kept. What was spent stays spent.
func (m *Meter) Spend(n, now int64, r Rate) time.Duration {
	if r.PerSecond == 0 {
		return 0
	}
	for {
		was := m.paid.Load()
		paid := max(was, now) + r.time(n)
		if m.paid.CompareAndSwap(was, paid) {
			return time.Duration(max(0, paid-now-r.time(r.Burst)))
		}
	}
}

// time is how long n take at the rate, in ns; at most a day, so that nothing overflows.
func (r Rate) time(n int64) int64 {
	return int64(min(float64(n)/float64(r.PerSecond), 24*60*60) * 1e9)
}
