package appclient

import (
	"context"
	"errors"
	"time"
)

const (
	sweepEvery = 5 * time.Millisecond
	// parkedEvery is how often those are looked at that wait for events.
	parkedEvery = 100 * time.Millisecond
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
		every := sweepEvery
		t.Reset(every)
		for every > 0 {
			wanted := busy
			if every == sweepEvery {
				wanted = nil
			}
			select {
			case <-ctx.Done():
				return
			case <-wanted:
				every = sweepEvery
				t.Reset(every)
				continue
			case <-t.C:
			}
			next, work := e.sweep()
			if work {
				e.wake()
			}
			if next != every && next > 0 {
				t.Reset(next)
			}
			every = next
		}
	}
}

// sweep sends again what is due. It returns when it is to be called next, 0
// that there are no calls, and whether something is to be sent.
func (e *engine) sweep() (next time.Duration, work bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.sweepCalls(&e.live, now)
	if now-e.parkedAt >= parkedEvery {
		e.parkedAt = now
		e.sweepCalls(&e.parked, now)
	}
	e.giveUpQuestions(nil, requestAge)
	for _, r := range e.requests {
		if r.holding && now-r.sent > max(slotAge, 2*r.node.rtt, transfer(r.bytes)) {
			e.release(r)
		}
		if now-r.sent > requestAge {
			e.forget(r)
		}
	}
	switch {
	case len(e.live) > 0:
		next = sweepEvery
	case len(e.parked) > 0:
		next = parkedEvery
	}
	return next, len(e.dirty) > 0
}

func (e *engine) sweepCalls(list *[]*call, now time.Duration) {
	for i := len(*list) - 1; i >= 0; i-- {
		if i >= len(*list) {
			continue
		}
		c := (*list)[i]
		if now < c.due {
			continue
		}
		switch c.state {
		case waitAnswer:
			if e.late(c, now) {
				continue
			}
			c.why, c.busy = "no answer in time from "+c.node.jid, false
			if e.silent(c.current()) {
				continue
			}
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
}
