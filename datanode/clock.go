package datanode

import "sync/atomic"

// maxAhead is how far a client's time may be ahead of this node's clock to be
// believed, in milliseconds.
const maxAhead = 5000

// logClock gives commands their log time. It is a hybrid logical clock (Kulkarni
// et al., 2014): never behind a time that was told to a client who passed it on
// to here, so that what happens because of something else is never earlier than
// that, whatever partition it is in. A cluster's objects of log time T and before
// are therefore a consistent cut, as long as the nodes' clocks are within maxAhead
// of each other. One client with a wrong clock moves it by no more than that.
type logClock struct {
	last     atomic.Int64 // highest time stamped or believed, ms since 1970
	anyTime  bool         // seeded by tests: believes any time
	deafness bool         // seeded by tests: believes none
}

// observe takes note of the time that a client has seen; false if it is too far
// ahead of now, the node's own clock, to be believed.
func (c *logClock) observe(t, now int64) bool {
	if t > now+maxAhead && !c.anyTime {
		return false
	}
	if !c.deafness {
		c.raise(t)
	}
	return true
}

// stamp is the log time of a command that is proposed now.
func (c *logClock) stamp(now int64) int64 {
	c.raise(now)
	return c.last.Load()
}

func (c *logClock) raise(t int64) {
	for old := c.last.Load(); t > old && !c.last.CompareAndSwap(old, t); old = c.last.Load() {
	}
}
