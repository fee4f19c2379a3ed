package throttle

import (
	"sync"
	"time"
)

// Line lets so many in a second, in the order in which they come: who comes when more have come already
// waits. It is safe for concurrent use.
type Line struct {
	mu   sync.Mutex
	gap  time.Duration // between two
	next time.Time     // when the next one may go, if nobody comes sooner
}

// NewLine lets rate in a second, and as many at once after a second without anybody.
func NewLine(rate int) *Line {
	l := new(Line)
	l.SetRate(rate)
	return l
}

// SetRate changes the rate for those who come from now on.
func (l *Line) SetRate(rate int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gap = time.Second / time.Duration(max(rate, 1))
}

// Join returns how long one who comes now has to wait, unless that is more than most: then ok is false,
// and nobody is in the line for it.
func (l *Line) Join(now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if idle := now.Add(-time.Second); l.next.Before(idle) {
		l.next = idle
	}
	next := l.next.Add(l.gap)
	if wait = next.Sub(now); wait > most {
		return wait, false
	}
	l.next = next
	return max(0, wait), true
}
