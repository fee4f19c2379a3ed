package bosh

import (
	"context"
	"sync"
	"time"
)

// wheel finds the sessions whose time is over. A session is in it once at most and costs nothing
// while it waits: when its turn comes it is looked at, and put in again if it isn't over yet.
type wheel struct {
	tick time.Duration
	mu   sync.Mutex
	pos  int
	at   [256]*client // lists by client.next
}

// add puts a session in for a time.
func (w *wheel) add(c *client, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.queued {
		return
	}
	n := min(max(int(time.Until(at)/w.tick)+1, 1), len(w.at)-1)
	i := (w.pos + n) % len(w.at)
	c.next, w.at[i], c.queued = w.at[i], c, true
}

// turn takes out those whose turn it is.
func (w *wheel) turn() (due []*client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pos = (w.pos + 1) % len(w.at)
	for c := w.at[w.pos]; c != nil; {
		next := c.next
		c.next, c.queued = nil, false
		due = append(due, c)
		c = next
	}
	w.at[w.pos] = nil
	return due
}

// run turns the wheel until the context ends.
func (w *wheel) run(ctx context.Context, look func(*client)) {
	t := time.NewTicker(w.tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			for _, c := range w.turn() {
				look(c)
			}
		}
	}
}

// look ends a session whose time is over, or forgets one that has ended.
func (s *Server) look(c *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.expires.IsZero():
	case time.Now().Before(c.expires):
		s.wheel.add(c, c.expires)
	case c.ended:
		s.forget(c)
	default:
		c.stop(&ending{err: errInactive})
	}
}
