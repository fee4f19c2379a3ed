package balance

import (
	"runtime"
	"sync"
	"time"
)

// sampleEvery is how often the use of CPU is looked at; what is told changes over some ten times that.
const sampleEvery = 500 * time.Millisecond

// CPU measures how much of the processors that it may use the process does use. The zero value begins.
// It is safe for concurrent use.
type CPU struct {
	mu    sync.Mutex
	at    time.Time
	used  time.Duration
	share float64
}

// Share is the use of the last seconds, per mille. It is 0 where it can't be measured.
func (c *CPU) Share() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	passed := now.Sub(c.at)
	if passed < sampleEvery {
		return int(c.share)
	}
	used := cpuUsed()
	if !c.at.IsZero() {
		is := 1000 * float64(used-c.used) / float64(passed) / float64(runtime.GOMAXPROCS(0))
		weight := min(1, 0.1*float64(passed)/float64(sampleEvery))
		c.share += weight * (min(1000, is) - c.share)
	}
	c.at, c.used = now, used
	return int(c.share)
}
