package appclient

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
)

// unqueue takes a call out of wherever it waits.
func (e *engine) unqueue(c *call) {
	switch c.state {
	case waitSession:
		for i, w := range c.part.waiting {
			if w == c {
				c.part.waiting = append(c.part.waiting[:i], c.part.waiting[i+1:]...)
				break
			}
		}
	case waitFlush:
		c.node.lanes[c.lane()].remove(c)
	}
}

// finish ends a call: no more copies are sent, and its caller is woken.
func (e *engine) finish(c *call, err error) {
	e.unqueue(c)
	for _, t := range c.open {
		delete(e.tags, t.tag)
		e.callOff(c, t)
	}
	l := e.list(c)
	last := len(*l) - 1
	(*l)[c.index] = (*l)[last]
	(*l)[c.index].index = c.index
	(*l)[last] = nil
	*l = (*l)[:last]
	c.state, c.err = finished, err
	if c.kind == openCall {
		e.opened(c)
		return
	}
	if c.ses != nil {
		e.close(c)
		e.advance(c.part)
	}
	switch {
	case c.shares != nil:
		e.share(c)
	case c.inbox != nil:
		c.inbox.put(c)
	default:
		c.done <- struct{}{}
	}
}

// close settles the sequence of a write that has ended, at once if the store
// may forget it.
func (e *engine) close(c *call) {
	s, seq := c.ses, c.write.Seq
	unknown := c.err != nil && isUnknown(c.err)
	if unknown && c.kind == writeCall {
		e.stats.Unknown++
	}
	keep := c.given || c.kind == reserveCall || unknown || c.deserted()
	if !keep || unknown && e.faults.floorPassesUnknown {
		s.settle(seq)
		return
	}
	s.hold(seq, c.kind == writeCall && (c.err == nil || unknown), e.now()+holdFor)
}

// opened takes the outcome of an open: a session, or the end of everything
// that waits for one.
func (e *engine) opened(c *call) {
	p := c.part
	p.opening = nil
	if c.err == nil && c.wres.Code == op.OK {
		p.session = newSession(c.wres.Session)
	} else if c.err != nil {
		waiting := p.waiting
		p.waiting = nil
		for _, w := range waiting {
			w.state = waitRetry // no longer in the list
			e.finish(w, c.err)
		}
	}
	e.advance(p)
}

// gaveUp is the error of a call whose caller waits no longer.
func (e *engine) gaveUp(c *call, cause error) error {
	if c.kind == writeCall && c.uncertain() && !e.faults.unknownAsUnavailable {
		return e.unknown(c, fmt.Errorf("%s (%d tries): %w", e.missing(c), c.tries, cause))
	}
	stuck := c
	if o := c.part.opening; c.state == waitSession && o != nil {
		stuck = o // what kept the session from being opened
	}
	not := ""
	if c.kind == writeCall {
		not = "; the write was not applied"
	}
	err := fmt.Errorf("%s (%d tries)%s: %w", e.missing(stuck), stuck.tries, not, cause)
	if stuck.busy {
		return &OverloadedError{RetryAfter: max(0, stuck.due-e.now()), cause: err}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// unknown is the error of a write that may or may not have been applied.
func (e *engine) unknown(c *call, cause error) error {
	return &UnknownOutcomeError{Op: e.id(c), cause: cause}
}

// missing says what kept a call from being answered.
func (e *engine) missing(c *call) string {
	last := c.why
	if last == "" && c.state == waitAnswer && c.node != nil {
		last = "no answer from " + c.node.jid
	}
	online, away := 0, []string(nil)
	for _, n := range c.part.replicas {
		if n.online {
			online++
		} else {
			bare, _, _ := strings.Cut(n.jid, "/")
			away = append(away, bare)
		}
	}
	slices.Sort(away)
	all := len(c.part.replicas)
	switch {
	case !e.ups[0] && !e.ups[1]:
		return "no stream to the XMPP server"
	case online == 0:
		return fmt.Sprintf("none of the %d replicas of partition %d is available: %s", all, c.part.id, strings.Join(away, ", "))
	case 2*online <= all:
		lost := fmt.Sprintf("partition %d has lost its majority and so its leader: %d of its %d replicas available, and not there: %s", c.part.id, online, all, strings.Join(away, ", "))
		if last == "" {
			return lost
		}
		return lost + "; " + last
	case last != "":
		return last
	case c.state == waitSession:
		return fmt.Sprintf("too many writes under way in partition %d", c.part.id)
	}
	return "no answer yet"
}

// shut ends everything with an error of the given cause; no call is taken
// after it.
func (e *engine) shut(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.end != nil {
		if cause == ErrClosed { //nolint:errorlint // not what wraps it: Close's own
			e.end = cause // whatever ended the client before, it is closed now
		}
		return
	}
	e.end = cause
	for _, p := range e.parts {
		if p.opening != nil {
			e.finish(p.opening, cause)
		}
	}
	for len(e.live) > 0 {
		c := e.live[len(e.live)-1]
		err := cause
		if c.kind == writeCall && c.uncertain() && !e.faults.unknownAsUnavailable {
			// Words only of the cause: it may be a kind that says "surely not applied".
			err = e.unknown(c, fmt.Errorf("%v", cause))
		}
		e.finish(c, err)
	}
	for len(e.parked) > 0 {
		e.finish(e.parked[len(e.parked)-1], cause)
	}
}
