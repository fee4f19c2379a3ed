package bosh

import (
	"errors"
	"time"
)

// ending is why a session ends.
type ending struct {
	err       error  // what the stream ends with; nil if somebody has given its Outbox a reason
	condition string // of BOSH, where it is not the stream that ends the session
	others    string // for requests that have nothing to do with it
}

// errInactive: the client has sent nothing for too long.
var errInactive = errors.New("no request came in time")

// stop ends the session. mu must be held.
func (c *client) stop(e *ending) {
	if c.end != nil || c.ended {
		return
	}
	c.end = e
	if c.talk != nil {
		c.talk.more.Broadcast()
	} else if !c.busy {
		c.finish()
	}
}

// finish cleans up behind a session with a stream, once nobody handles requests. mu must be held.
func (c *client) finish() {
	if c.talk != nil {
		return // the negotiation does it
	}
	c.busy = true
	go func() {
		c.stream.Finish(c.srv.cfg.Streams.Context(), c.end.err)
		c.close()
		c.stream.Leave()
	}()
}

// close answers what still waits. The session is remembered for a while, for requests that don't
// know yet.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		c.end = &ending{}
	}
	condition, others := c.end.condition, c.end.others
	if c.last {
		condition = c.condition
	}
	if others == "" {
		others = condition
	}
	c.final = terminateBody(condition)
	if errors.Is(c.end.err, errInactive) {
		c.final = terminateBody(itemNotFound)
	}
	if c.last && len(c.pend) > 0 && c.talk != nil {
		c.final = c.compose(0).body // a stream error that no request was there for
	}
	for _, s := range c.slots {
		if s.ex != nil && !s.ex.gone {
			s.ex.gone = true
			s.ex.done <- answer{terminateBody(others)}
		}
	}
	for _, ex := range c.early {
		if !ex.gone {
			ex.gone = true
			ex.done <- answer{terminateBody(others)}
		}
	}
	c.early, c.slots, c.pend, c.group = nil, nil, nil, nil
	c.open.Store(0)
	c.ended, c.talk = true, nil
	c.expires = time.Now().Add(c.srv.cfg.Inactivity)
	c.srv.wheel.add(c, c.expires)
	c.srv.metrics.sessions.Dec()
	if condition != "" {
		c.srv.metrics.terminated.WithLabelValues(condition).Inc()
	}
}
