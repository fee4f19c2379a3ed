package datanode

import (
	"context"
	"sync"
	"time"
)

// How what is sent in parts (large values, snapshots) is spread over time. The
// server keeps 4 MiB for a receiver that does not keep up and bounces the rest,
// and behind a burst on the own stream heartbeats and answers would wait.
const (
	paceBurst    = 2 << 20   // bytes sent at once after a pause
	paceRate     = 32 << 20  // bytes a second
	paceWaiting  = 256 << 20 // bytes that may wait; more are dropped
	paceTogether = 8         // elements whose parts take turns
	paceAgain    = 20 * time.Millisecond
)

// pacer sends elements part by part. Parts of several take turns, so that a
// large value does not wait for a snapshot.
type pacer struct {
	send func(p *peer, part []byte) error
	full error // what send returns when the stream has no room just now

	mu      sync.Mutex
	queue   []*paced
	waiting int // bytes
	wake    chan struct{}
}

// paced is an element on its way.
type paced struct {
	p     *peer
	parts [][]byte
}

func (c *pacer) init(send func(*peer, []byte) error, full error) {
	c.send, c.full, c.wake = send, full, make(chan struct{}, 1)
}

// push takes an element, or drops it when too much waits. It never blocks.
func (c *pacer) push(p *peer, parts [][]byte) {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	c.mu.Lock()
	if c.waiting+size <= paceWaiting {
		c.waiting += size
		c.queue = append(c.queue, &paced{p, parts})
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// next takes the part whose turn it is off the queue; turn counts up.
func (c *pacer) next(turn int) (e *paced, part []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil, nil
	}
	i := turn % min(len(c.queue), paceTogether)
	e = c.queue[i]
	part = e.parts[0]
	e.parts = e.parts[1:]
	c.waiting -= len(part)
	if len(e.parts) == 0 {
		c.queue = append(c.queue[:i], c.queue[i+1:]...)
	}
	return e, part
}

// drop forgets the rest of an element: without one part it is worthless.
func (c *pacer) drop(e *paced) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.queue {
		if other == e {
			c.queue = append(c.queue[:i], c.queue[i+1:]...)
			break
		}
	}
	for _, part := range e.parts {
		c.waiting -= len(part)
	}
	e.parts = nil
}

// run sends until ctx ends.
func (c *pacer) run(ctx context.Context) {
	budget, last := float64(paceBurst), time.Now()
	for turn := 0; ; turn++ {
		e, part := c.next(turn)
		if e == nil {
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
			}
			continue
		}
		now := time.Now()
		budget = min(paceBurst, budget+paceRate*now.Sub(last).Seconds())
		last = now
		if short := float64(len(part)) - budget; short > 0 && !rest(ctx, time.Duration(short/paceRate*float64(time.Second))) {
			return
		}
		budget -= float64(len(part))
		err := c.send(e.p, part)
		for err != nil && err == c.full {
			if !rest(ctx, paceAgain) {
				return
			}
			err = c.send(e.p, part)
		}
		if err != nil {
			c.drop(e)
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
