package bosh

import (
	"errors"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// Ready implements session.Gate.
func (c *client) Ready() bool { return c.open.Load() > 0 }

// TryWrite implements session.Transport: what is written becomes the next answer, or waits for one.
func (c *client) TryWrite(p []byte) (int, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.append(p)
	switch {
	case c.open.Load() == 0:
	case c.grouping():
		c.delay()
	default:
		c.answer()
	}
	c.rest()
	return len(p), false, nil
}

// Finish implements session.Transport. Nothing is ever left to it.
func (c *client) Finish() (int, error) { return 0, nil }

// append takes in a run of whole elements as on a TCP stream, its end included. mu must be held.
func (c *client) append(p []byte) {
	scan, ok := c.srv.trusting.Get().(*stanza.Scanner)
	if !ok {
		scan = stanza.NewScanner(stanza.Unlimited())
	}
	for len(p) > 0 {
		el, n, err := scan.Next(p)
		if err != nil || el == nil {
			return // white space at the end
		}
		p = p[n:]
		switch {
		case el.Kind == stanza.StreamEnd:
			c.last = true
		case el.Kind == stanza.Nonza && string(el.Get(el.Name)) == "stream:error":
			c.condition = remoteStreamError
			if own := conditionOf(string(el.Get(el.ChildName))); own != "" {
				c.condition = own
				continue
			}
			c.add(el)
		default:
			c.add(el)
		}
	}
	c.srv.trusting.Put(scan)
}

// conditionOf translates the stream errors that BOSH has a word for.
func conditionOf(streamError string) string {
	switch streamError {
	case hostUnknown, improperAddressing, systemShutdown:
		return streamError
	case "host-gone":
		return hostUnknown
	}
	return ""
}

// Abort implements session.Transport: somebody has ended the session.
func (c *client) Abort() {
	c.mu.Lock()
	c.stop(&ending{})
	c.mu.Unlock()
}

// Kept implements session.Keeper. The last answer may be on its way: it is waited for, and nothing
// will ever come that acknowledges it.
func (c *client) Kept() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var last int64
	if ex := c.lastEx; ex != nil {
		last = ex.rid
		c.mu.Unlock()
		t := time.NewTimer(lingerTime)
		select {
		case <-ex.wrote:
		case <-t.C:
		}
		t.Stop()
		c.mu.Lock()
	}
	if c.srv.cfg.Faults.DropKept {
		return nil
	}
	var kept [][]byte
	for i := range c.replies {
		r := &c.replies[i]
		if r.received || r.to == r.from || r.rid == last && r.written {
			continue
		}
		kept = append(kept, r.payload())
	}
	if len(c.pend) > 0 {
		kept = append(kept, c.pend)
	}
	return kept
}

// streamError is the stream error of a scanner's.
func streamError(err error) error {
	var bad *stanza.Error
	if errors.As(err, &bad) {
		return &router.StreamError{Condition: bad.Condition, Text: bad.Text}
	}
	return err
}

// lingerTime is for the last answer to be written.
const lingerTime = 2 * time.Second
