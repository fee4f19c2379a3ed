package bosh

import (
	"errors"
	"os"
	"sync"
	"time"

	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// negotiation is the c2s.Framing of a session whose resource is not bound. One goroutine runs it;
// requests come from others.
type negotiation struct {
	c      *client
	more   sync.Cond  // on client.mu: items, or an end
	items  []*request // handled up to their payload; guarded by client.mu
	budget int        // bytes that may still come; guarded by client.mu

	timer   *time.Timer
	expired bool

	scan *stanza.Scanner // of the goroutine
	rest []byte          // elements that are there; of the goroutine
	told bool            // the answer that creates the session is sent
}

var errTooMuch = &router.StreamError{Condition: "policy-violation", Text: "too many bytes before the stream is ready"}

func newNegotiation(c *client, budget int) *negotiation {
	n := &negotiation{c: c, budget: budget}
	n.more.L = &c.mu
	return n
}

// put takes the payload of a request. client.mu must be held.
func (n *negotiation) put(req *request) {
	const overhead = 64 // a request is not free
	if n.budget -= len(req.payload) + overhead; n.budget >= 0 && len(req.payload) == 0 && !req.restart && req.sid != "" {
		return
	}
	n.items = append(n.items, req)
	n.more.Broadcast()
}

// take waits for the next request that says something.
func (n *negotiation) take() (*request, error) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	for {
		switch {
		case n.expired:
			return nil, os.ErrDeadlineExceeded
		case n.budget < 0:
			return nil, errTooMuch
		case len(n.items) > 0:
			req := n.items[0]
			n.items = n.items[1:]
			return req, nil
		case n.c.end != nil:
			if n.c.end.err == nil {
				return nil, errors.New("session ended: " + n.c.end.condition)
			}
			return nil, n.c.end.err
		}
		n.more.Wait()
	}
}

// Open implements c2s.Framing. The first request of a session is a header, later ones are if they
// say so (XEP-0206 section 5).
func (n *negotiation) Open(in *stream.Info) error {
	req, err := n.take()
	if err != nil {
		return err
	}
	if n.told && !req.restart {
		return &router.StreamError{Condition: "bad-format", Text: "restart the stream first"}
	}
	n.scan, n.rest = stanza.NewScanner(n.c.srv.cfg.Limits), req.payload
	version := req.version
	if version == "" {
		version = "1.0" // some clients leave it away at the restart
	}
	return c2s.FillHeader(in, req.to, req.from, version)
}

// Next implements c2s.Framing.
func (n *negotiation) Next() (*stanza.Stanza, error) {
	for {
		el, used, err := n.scan.Next(n.rest)
		n.rest = n.rest[used:]
		switch {
		case err != nil:
			return nil, streamError(err)
		case el != nil:
			return el, nil
		}
		req, err := n.take()
		if err != nil {
			return nil, err
		}
		if req.restart {
			return nil, &router.StreamError{Condition: "not-authorized", Text: "log in before you restart the stream"}
		}
		n.rest = req.payload
	}
}

// Header implements c2s.Framing.
func (n *negotiation) Header(h *c2s.Header, elements []byte) error {
	if !n.told {
		n.c.mu.Lock()
		n.c.header = h
		n.c.mu.Unlock()
		n.told = true
	}
	return n.Write(elements)
}

// Write implements c2s.Framing.
func (n *negotiation) Write(elements []byte) error {
	c := n.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.append(elements)
	c.group = nil
	if c.open.Load() > 0 {
		c.answer()
	}
	c.rest()
	return nil
}

// Transport implements c2s.Framing.
func (n *negotiation) Transport() (session.Transport, error) { return n.c, nil }

// SetDeadline implements c2s.Framing.
func (n *negotiation) SetDeadline(t time.Time) error {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	n.expired = false
	if t.IsZero() {
		return nil
	}
	if d := time.Until(t); d > 0 {
		n.timer = time.AfterFunc(d, n.expire)
		return nil
	}
	n.expired = true
	n.more.Broadcast()
	return nil
}

func (n *negotiation) expire() {
	n.c.mu.Lock()
	n.expired = true
	n.more.Broadcast()
	n.c.mu.Unlock()
}

// run negotiates, and hands the stream over to whoever handles requests.
func (n *negotiation) run() {
	c := n.c
	st, err := c.srv.cfg.Streams.Negotiate(n, c.peer)
	if err != nil {
		c.mu.Lock()
		if errors.Is(err, c2s.ErrRefused) && c.end == nil {
			c.end = &ending{condition: policyViolation}
		}
		c.mu.Unlock()
		c.close()
		return
	}
	st.Flush() // the result of binding
	failed := c.route(st, &request{payload: n.rest})
	c.mu.Lock()
	for len(n.items) > 0 && failed == nil {
		req := n.items[0]
		n.items = n.items[1:]
		c.mu.Unlock()
		failed = c.route(st, req)
		c.mu.Lock()
	}
	c.stream, c.talk = st, nil
	if failed != nil {
		c.stop(&ending{err: failed})
	} else if c.end != nil && !c.busy {
		c.finish()
	}
	c.mu.Unlock()
	c.flush()
}
