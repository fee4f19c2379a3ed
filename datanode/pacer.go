package datanode

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// How what is sent in parts (large values, frames of snapshots) is kept from overrunning
// its receiver: XMPP has no flow control from end to end, and a server cuts off
// who does not read as fast as others send to it.
const (
	paceWindow  = 4               // parts to one peer on their way (count)
	paceStale   = 2 * time.Second // without a word of them they are taken for lost
	paceWaiting = 512 << 20       // bytes that may wait before more is dropped; one element may exceed it
	paceAgain   = 20 * time.Millisecond
)

// pacer sends elements part by part, as fast as the receiver says that it got
// them. What goes to one peer stays in order, because Raft takes an overtaken
// batch for a lost one and sends it again: while something waits for a peer,
// smaller batches wait behind it. Only snapshots have a lane of their own, since
// nothing has to wait for them. Parts of different lanes take turns.
type pacer struct {
	send func(p *peer, el []byte) error
	full error // what send returns when the stream has no room just now

	mu      sync.Mutex
	active  []*lane // with something in it
	waiting int     // bytes
	wake    chan struct{}
}

// lane is a queue of elements. Its fields belong to the pacer, under its lock.
type lane struct {
	p        *peer
	elements []element
	// busy counts the elements not sent completely. It is read without the lock.
	busy atomic.Int32
}

type element struct {
	parts [][]byte
	whole bool // in one piece, which the receiver does not acknowledge
}

// flight is what is on its way to a peer, under the pacer's lock.
type flight struct {
	parts int
	since time.Time // the last word of it, or the first part
}

func (c *pacer) init(send func(*peer, []byte) error, full error) {
	c.send, c.full, c.wake = send, full, make(chan struct{}, 1)
}

func (c *pacer) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// push takes an element in parts into a lane of the peer, or drops it when too much waits already. It never blocks.
func (c *pacer) push(l *lane, p *peer, parts [][]byte) {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting >= paceWaiting {
		return
	}
	c.waiting += size
	if l.p == nil {
		l.p = p
	}
	if len(l.elements) == 0 {
		c.active = append(c.active, l)
	}
	l.elements = append(l.elements, element{parts, len(parts) == 1})
	l.busy.Add(1)
	c.poke()
}

// got notes that a peer has received parts.
func (c *pacer) got(p *peer, parts int) {
	c.mu.Lock()
	p.flight.parts = max(0, p.flight.parts-parts)
	p.flight.since = time.Now()
	c.mu.Unlock()
	c.poke()
}

// next takes the next part that may be sent off the lane whose turn it is; last
// says that its element is complete with it. l is nil when nothing may be sent,
// waiting then says whether something waits.
func (c *pacer) next(turn int) (l *lane, part []byte, last, waiting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.active {
		i = (i + turn) % len(c.active)
		l = c.active[i]
		e := &l.elements[0]
		if !e.whole && !l.p.flight.take() {
			continue
		}
		part = e.parts[0]
		e.parts = e.parts[1:]
		c.waiting -= len(part)
		if last = len(e.parts) == 0; last {
			l.elements = l.elements[1:]
		}
		if len(l.elements) == 0 {
			l.elements = nil
			c.active = slices.Delete(c.active, i, i+1)
		}
		return l, part, last, true
	}
	return nil, nil, false, len(c.active) > 0
}

// take makes room in the window for one more part; false when there is none.
func (f *flight) take() bool {
	now := time.Now()
	if f.parts >= paceWindow && now.Sub(f.since) < paceStale {
		return false
	}
	if f.parts >= paceWindow {
		f.parts = 0 // lost, or the receiver's word was
	}
	if f.parts == 0 {
		f.since = now
	}
	f.parts++
	return true
}

// clear empties a lane: its peer or the stream is gone.
func (c *pacer) clear(l *lane) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active = slices.DeleteFunc(c.active, func(other *lane) bool { return other == l })
	for _, e := range l.elements {
		for _, part := range e.parts {
			c.waiting -= len(part)
		}
	}
	l.elements = nil
	l.busy.Store(0)
	l.p.flight.parts = 0
}

// run sends until ctx ends.
func (c *pacer) run(ctx context.Context) {
	stale := time.NewTicker(paceStale / 4)
	defer stale.Stop()
	for turn := 0; ; turn++ {
		l, part, last, waiting := c.next(turn)
		if l == nil {
			var again <-chan time.Time
			if waiting {
				again = stale.C
			}
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
			case <-again:
			}
			continue
		}
		err := c.send(l.p, part)
		for err != nil && err == c.full {
			if !rest(ctx, paceAgain) {
				return
			}
			err = c.send(l.p, part)
		}
		if err != nil {
			c.clear(l)
		} else if last {
			l.busy.Add(-1)
		}
	}
}

// rest waits; false when ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
