package datanode

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// How what is sent in parts (large values, snapshots) is spread over time: the
// server keeps a few MiB for a receiver that does not keep up and then cuts it
// off.
const (
	paceBurst   = 2 << 20   // bytes sent at once after a pause
	paceRate    = 32 << 20  // bytes a second
	paceWaiting = 512 << 20 // bytes that may wait; more are dropped
	paceAgain   = 20 * time.Millisecond
	// bulkSize is the size of an element from which on it is a snapshot, which
	// nothing has to wait for; in bytes.
	bulkSize = 8 << 20
)

// pacer sends elements part by part, at a bounded rate. What goes to one peer
// stays in order, because Raft takes an overtaken batch for a lost one and sends
// it again: while something waits for a peer, smaller batches wait behind it.
// Only snapshots have a lane of their own. Parts of different lanes take turns.
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
	elements [][][]byte // parts of each
	// busy counts the elements not sent completely. It is read without the lock.
	busy atomic.Int32
}

func (c *pacer) init(send func(*peer, []byte) error, full error) {
	c.send, c.full, c.wake = send, full, make(chan struct{}, 1)
}

// push takes an element in parts, or drops it when too much waits. It never blocks.
func (c *pacer) push(p *peer, parts [][]byte) {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	l := &p.inOrder
	if size >= bulkSize {
		l = &p.bulk
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting+size > paceWaiting {
		return
	}
	c.waiting += size
	l.p = p
	if len(l.elements) == 0 {
		c.active = append(c.active, l)
	}
	l.elements = append(l.elements, parts)
	l.busy.Add(1)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// next takes the next part off the lane whose turn it is; last says that its
// element is complete with it.
func (c *pacer) next(turn int) (l *lane, part []byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.active) == 0 {
		return nil, nil, false
	}
	i := turn % len(c.active)
	l = c.active[i]
	part = l.elements[0][0]
	l.elements[0] = l.elements[0][1:]
	c.waiting -= len(part)
	if len(l.elements[0]) == 0 {
		last = true
		l.elements = l.elements[1:]
		if len(l.elements) == 0 {
			l.elements = nil
			c.active = append(c.active[:i], c.active[i+1:]...)
		}
	}
	return l, part, last
}

// clear empties a lane: its peer or the stream is gone.
func (c *pacer) clear(l *lane) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.active {
		if other == l {
			c.active = append(c.active[:i], c.active[i+1:]...)
			break
		}
	}
	for _, parts := range l.elements {
		for _, part := range parts {
			c.waiting -= len(part)
		}
	}
	l.elements = nil
	l.busy.Store(0)
}

// run sends until ctx ends.
func (c *pacer) run(ctx context.Context) {
	budget, at := float64(paceBurst), time.Now()
	for turn := 0; ; turn++ {
		l, part, last := c.next(turn)
		if l == nil {
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
			}
			continue
		}
		now := time.Now()
		budget = min(paceBurst, budget+paceRate*now.Sub(at).Seconds())
		at = now
		if short := float64(len(part)) - budget; short > 0 && !rest(ctx, time.Duration(short/paceRate*float64(time.Second))) {
			return
		}
		budget -= float64(len(part))
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
