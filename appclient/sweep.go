package appclient

import (
	"context"
	"errors"
	"time"
)

const (
	sweepEvery = 5 * time.Millisecond
	// troublePause is how long others are asked after a node bounced a request.
	troublePause = 50 * time.Millisecond
	// slotAge is how long a request without an answer holds the next ones of
	// its lane back: one slow partition must not stop the others.
	slotAge = 20 * time.Millisecond
	// requestAge is how long an answer to a request is waited for at all.
	requestAge = 30 * time.Second
)

var errNotNeeded = errors.New("nobody waits for the session")

// sweeper gives the engine the time while there are calls. One coarse clock
// for all is much cheaper than a timer a call.
func (e *engine) sweeper(ctx context.Context, busy <-chan struct{}) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		t.Stop()
		select {
		case <-ctx.Done():
			return
		case <-busy:
		}
		t.Reset(sweepEvery)
		for alive := true; alive; {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			var work bool
			if alive, work = e.sweep(); work {
				e.wake()
			}
		}
	}
}

// sweep sends again what is due. alive says that there are calls, work that
// something is to be sent.
func (e *engine) sweep() (alive, work bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	for i := len(e.live) - 1; i >= 0; i-- {
		if i >= len(e.live) {
			continue
		}
		c := e.live[i]
		if now < c.due {
			continue
		}
		switch c.state {
		case waitAnswer:
			c.why = "no answer in time from " + c.node.jid
			e.leave(c.part, c.node)
			e.again(c, c.node, true)
		case waitRetry:
			if c.kind == openCall && len(c.part.waiting) == 0 {
				e.finish(c, errNotNeeded)
			} else {
				e.route(c, c.node)
			}
		}
	}
	for _, r := range e.requests {
		if r.holding && now-r.sent > max(slotAge, 2*r.node.rtt, transfer(r.bytes)) {
			e.release(r)
		}
		if now-r.sent > requestAge {
			e.forget(r)
		}
	}
	return len(e.live) > 0, len(e.dirty) > 0
}
