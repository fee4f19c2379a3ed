package bosh

import (
	"bytes"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

const (
	groupMax  = 64       // presence stanzas that wait for one another
	groupSize = 32 << 10 // bytes of them
)

// grouped is a presence stanza at the end of what is pending.
type grouped struct {
	from       string
	start, end int // in pend
}

// add appends an element to what is pending. Presence stanzas of which nothing but presence follows
// are grouped: of one sender only the latest is kept, since it says all (RFC 6121 section 4.4), and
// they wait for others a little. mu must be held.
func (c *client) add(el *stanza.Stanza) {
	start := len(c.pend)
	if !groups(el) || c.srv.cfg.PresenceDelay == 0 {
		c.pend = stanza.AppendStandalone(c.pend, el.Raw)
		c.group = nil
		return
	}
	from := el.AttrString(el.From)
	for i, g := range c.group {
		if g.from != from {
			continue
		}
		n := g.end - g.start
		c.pend = append(c.pend[:g.start], c.pend[g.end:]...)
		c.group = append(c.group[:i], c.group[i+1:]...)
		for j := i; j < len(c.group); j++ {
			c.group[j].start -= n
			c.group[j].end -= n
		}
		start -= n
		c.srv.metrics.superseded.Inc()
		break
	}
	c.pend = stanza.AppendStandalone(c.pend, el.Raw)
	c.group = append(c.group, grouped{from, start, len(c.pend)})
}

// groups reports whether an element is presence that a later one of its sender supersedes. Rooms
// tell of joining and leaving by presence: of that nothing is left out.
func groups(el *stanza.Stanza) bool {
	return el.Kind == stanza.Presence && el.From.Present() && (!el.Type.Present() || el.IsType("unavailable")) &&
		!bytes.Contains(el.Raw, []byte("http://jabber.org/protocol/muc"))
}

// grouping reports whether what is pending may wait for more presence. mu must be held.
func (c *client) grouping() bool {
	return len(c.group) > 0 && c.group[0].start == 0 && len(c.group) < groupMax && len(c.pend) < groupSize && !c.last
}

// delay lets grouped presence wait for more. mu must be held.
func (c *client) delay() {
	if !c.delayed {
		c.delayed = true
		time.AfterFunc(c.srv.cfg.PresenceDelay, c.settle)
	}
}

// settle answers with grouped presence when the time is over.
func (c *client) settle() {
	c.mu.Lock()
	c.delayed = false
	c.trim()
	c.rest()
	c.mu.Unlock()
}
