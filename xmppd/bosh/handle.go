package bosh

import (
	"time"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// handle takes the requests that are due, one after another. It is called with mu held and busy
// set, and returns so with busy cleared; meanwhile mu is free at times.
func (c *client) handle() {
	for len(c.early) > 0 && c.end == nil && (c.early[0].rid == c.rid+1 || c.srv.cfg.Faults.AnyOrder) {
		ex := c.early[0]
		c.early = append(c.early[:0:0], c.early[1:]...)
		req := ex.req
		ex.req = nil
		if !c.keys.check(req) {
			c.violation(itemNotFound, ex)
			break
		}
		if !c.pollsTooFast(req) {
			c.violation(policyViolation, ex)
			break
		}
		c.received(req)
		c.rid = ex.rid
		if req.terminate {
			c.payload(req) // what comes of it is for the last answer, if no other request is held
			c.list(ex, req)
		} else {
			c.list(ex, req)
			c.payload(req)
		}
		c.after(req)
	}
	c.busy = false
	if c.end != nil {
		c.finish()
	}
}

// list makes a request one that waits for something to answer. mu must be held.
func (c *client) list(ex *exchange, req *request) {
	s := slot{rid: ex.rid, ex: ex, empty: req.empty()}
	if c.keys.used() {
		s.key = req.key
	}
	if ex.gone {
		s.ex = nil
	} else {
		c.open.Add(1)
	}
	c.slots = append(c.slots, s)
}

// payload hands the elements of a request to the negotiation, or routes them. mu must be held; it
// is free meanwhile.
func (c *client) payload(req *request) {
	if c.stream == nil {
		c.talk.put(req)
		return
	}
	st := c.stream
	c.mu.Unlock()
	var err error
	if len(req.payload) > 0 || req.restart {
		err = c.route(st, req)
	}
	st.Session().Out.Flush() // what has waited for a request
	c.mu.Lock()
	if err != nil {
		c.stop(&ending{err: err})
	}
}

// route routes the elements of a request. A client that sends too much is taken more slowly: its
// requests wait for this one.
func (c *client) route(st *c2s.Stream, req *request) error {
	elements := 0
	defer func() {
		st.Flush()
		if d := st.Spend(elements, len(req.payload)); d > 0 {
			st.Pause(c.srv.cfg.Streams.Context(), d)
		}
	}()
	if req.restart {
		return &router.StreamError{Condition: "not-authorized", Text: "the stream is bound: there is nothing to restart"}
	}
	scan := c.srv.scanner()
	for rest := req.payload; len(rest) > 0; {
		el, n, err := scan.Next(rest)
		if err != nil {
			return streamError(err)
		}
		rest = rest[n:]
		if el == nil {
			break // white space behind the last one
		}
		elements++
		if err := st.Route(c.srv.cfg.Streams.Context(), el); err != nil {
			return err
		}
	}
	c.srv.scanners.Put(scan)
	return nil
}

// after does what a request asks for besides its payload. mu must be held.
func (c *client) after(req *request) {
	switch {
	case req.terminate:
		c.stop(&ending{err: c2s.ErrEnd})
		return
	case req.pause >= 0:
		// All requests are answered at once, this one included (XEP-0124 section 10).
		c.pause = min(time.Duration(req.pause)*time.Second, c.srv.cfg.MaxPause)
		for c.open.Load() > 0 {
			c.answer()
		}
	}
	c.trim()
}

// received notes which answers the peer has got, as its request shows. mu must be held.
func (c *client) received(req *request) {
	outside := req.rid - int64(c.requests) // it can't have more requests waiting than that
	acked := outside
	switch {
	case req.ack >= 0:
		acked = max(acked, req.ack)
		for i := range c.replies {
			if r := c.replies[i]; r.rid == req.ack+1 && r.written {
				c.report = &r
			}
		}
	case c.acks && c.open.Load() == 0:
		acked = c.rid // it would say so if it had not got them all
	}
	n := 0
	for n < len(c.replies) && c.replies[n].rid <= outside {
		n++
	}
	if n > 0 {
		c.replies = append(c.replies[:0:0], c.replies[n:]...)
	}
	// What is acknowledged may still be asked for by a copy that was under way. And when no request
	// was left the peer would have asked again for what it missed, before it went on.
	none := c.open.Load() == 0
	for i := range c.replies {
		r := &c.replies[i]
		r.received = r.received || r.rid <= acked || none && r.written
	}
}

// pollsTooFast reports false for a polling session that asks again, in vain, before its time
// (XEP-0124 section 12).
func (c *client) pollsTooFast(req *request) bool {
	if c.hold > 0 {
		return true
	}
	return !req.empty() || c.lastEmpty.IsZero() || time.Since(c.lastEmpty) >= c.srv.cfg.Polling
}

// violation ends the session because of a request. mu must be held.
func (c *client) violation(condition string, ex *exchange) {
	ex.gone = true
	ex.done <- answer{terminateBody(condition)}
	c.stop(&ending{condition: condition, others: otherRequest})
}
