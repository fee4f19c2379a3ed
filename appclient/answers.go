package appclient

import (
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// answered takes the results that a node sent. Results of tries that were not
// sent to this node are ignored: whoever knows our address could send them.
func (e *engine) answered(from string, r *wire.Response) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.nodes[from]
	if n == nil {
		return
	}
	e.logTime = max(e.logTime, r.Time)
	for i := range r.Writes {
		if c := e.match(n, r.Writes[i].Tag); c != nil && c.kind != readCall {
			e.wrote(c, n, r.Writes[i].Tag, &r.Writes[i].WriteResult)
		}
	}
	for i := range r.Reads {
		c := e.match(n, r.Reads[i].Tag)
		switch {
		case c == nil || c.kind != readCall:
		case r.Reads[i].Term != 0 && ends(r.Reads[i].Code):
			e.led(c, n, &r.Reads[i])
		default:
			e.readDone(c, n, r.Reads[i].Tag, &r.Reads[i].ReadResult)
		}
	}
	if e.doc != nil && r.Epoch > e.doc.Epoch {
		e.stale()
	}
}

// match returns the call that a tag of node n's answer names.
func (e *engine) match(n *node, tag uint64) *call {
	c := e.tags[tag]
	if c == nil {
		return nil
	}
	for _, t := range c.open {
		if t.tag == tag && t.req.node == n {
			e.progress(t.req)
			return c
		}
	}
	return nil
}

// progress counts an answer to a part of a request. When half of it is answered
// the lane is open again: one slow partition must not hold back the others.
func (e *engine) progress(r *request) {
	if r.left--; r.holding && 2*r.left <= len(r.tags) {
		e.release(r)
	}
}

// release gives a request's slot back to its lane.
func (e *engine) release(r *request) {
	r.holding = false
	l := &r.node.lanes[r.lane]
	l.slots--
	if len(l.queue) > 0 {
		e.mark(r.node)
	}
}

// hold gives a request a slot of its lane, which it keeps until half of it is
// answered. What waits at the node for events holds nothing back, nor does one that is
// followed: what the answer to a single IQ has no room for leaves in several at
// once, and the last of them holds the slot.
func (l *lane) hold(r *request, followed bool) {
	switch {
	case r.lane == watches:
	case followed && l.burst < maxBurst:
		l.burst++
	default:
		l.burst = 0
		r.holding = true
		l.slots++
	}
}

// received takes the end of a request: a receipt, or the answer to an IQ.
func (e *engine) received(from, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.requests[id]
	if r == nil || e.nodes[from] != r.node {
		return
	}
	took := e.now() - r.sent
	switch {
	case r.lane == watches:
	case r.node.rtt == 0:
		r.node.rtt = took
	default:
		r.node.rtt += (took - r.node.rtt) / 8
	}
	e.free(r)
}

// free forgets a request and lets the next of its lane go.
func (e *engine) free(r *request) {
	e.forget(r)
	if r.holding {
		e.release(r)
	}
}

// forget waits no longer for the request as a whole.
func (e *engine) forget(r *request) {
	delete(e.requests, r.id)
	r.node.owed -= r.bytes
}

// wrote takes a node's answer to one copy of a write or an open.
func (e *engine) wrote(c *call, n *node, tag uint64, r *op.WriteResult) {
	switch r.Code {
	case op.OK, op.Conflict:
		c.part.leader = n
		c.wres = *r
		e.finish(c, nil)
		return
	case op.NotApplied, op.Unknown, op.SessionExpired:
		if e.settled(c, r) {
			return
		}
	case op.Retry:
		c.maybe = true
	}
	// From here on this copy was surely not applied, but for Retry.
	current := e.isCurrent(c, tag)
	e.answeredTry(c, tag)
	e.failed(c, n, r.Code, r.Leader, r.Text, r.RetryAfter)
	switch r.Code {
	case op.Redirect:
		e.redirect(c, n, r.Leader, current)
	case op.SessionExpired:
		e.expired(c)
	case op.Invalid, op.TooLarge, op.Denied: // a node of another version may have taken an earlier copy
		if c.kind != writeCall || !c.uncertain() {
			e.finish(c, refusal(r.Code, r.Text))
		} else {
			e.finish(c, e.unknown(c, errors.New(c.why)))
		}
	case op.Full:
		e.full(c, n, r.Text, current)
	default:
		if current {
			e.again(c, n, false)
		}
	}
}

// settled ends a call whose answer is that the store tells no more of a write,
// or that it never will be applied. False: there is more to do.
func (e *engine) settled(c *call, r *op.WriteResult) bool {
	switch {
	case c.kind == settleCall:
		c.wres = *r
		e.finish(c, nil)
	case c.kind != writeCall:
		return false
	case r.Code == op.NotApplied:
		e.finish(c, fmt.Errorf("%w, and it never will be: somebody has asked for its status, which decided that; write under a new id", ErrSettled))
	case r.Code == op.Unknown:
		e.finish(c, e.unknown(c, fmt.Errorf("the store no longer knows: %s", r.Text)))
	default:
		return false
	}
	return true
}

// expired takes the news that the partition does not know a write's session.
func (e *engine) expired(c *call) {
	c.part.expire(c.ses)
	switch {
	case c.uncertain():
		e.finish(c, e.unknown(c, errors.New("the session expired under a retry")))
	case c.given:
		e.finish(c, fmt.Errorf("%w: the operation's id has expired; take a new one", ErrUnavailable))
	default:
		e.unqueue(c)
		c.ses, c.write.Session, c.write.Seq = nil, 0, 0
		e.enroll(c)
	}
}

// failed notes what a try met that did not end the call.
func (e *engine) failed(c *call, n *node, code op.Code, leader, text string, retryAfter int64) {
	if code != op.Full {
		c.full.nodes = c.full.nodes[:0]
	}
	c.why = n.jid + " answered: " + describe(code, leader, text)
	c.busy = code == op.Overloaded
	c.hint = min(time.Duration(max(retryAfter, 0))*time.Millisecond, maxHint)
}

// ends tells whether an answer to a read is what its caller wants to know.
func ends(c op.Code) bool {
	return c == op.OK || c == op.NotFound || c == op.Conflict || c == op.Compacted
}

// readDone takes a node's answer to one copy of a read.
func (e *engine) readDone(c *call, n *node, tag uint64, r *op.ReadResult) {
	current := e.isCurrent(c, tag)
	e.answeredTry(c, tag)
	switch {
	case ends(r.Code):
		if !c.anywhere() {
			c.part.leader = n
		}
		e.logTime = max(e.logTime, r.Time)
		if c.lane() == reads {
			e.answers.learn(r, c.read.Offset)
		}
		c.rres = *r
		e.finish(c, nil)
		return
	case r.Code == op.Invalid || r.Code == op.TooLarge || r.Code == op.Denied:
		if r.Code == op.TooLarge && c.lane() == reads && !e.faults.largeRefused {
			if current {
				c.large = true // answers by message may be larger
				e.route(c, nil)
			}
			return
		}
		e.finish(c, refusal(r.Code, r.Text))
		return
	}
	e.failed(c, n, r.Code, r.Leader, r.Text, r.RetryAfter)
	switch {
	case r.Code == op.Redirect:
		c.led = c.read.Kind == op.Changes && !e.faults.watchAnywhere
		e.redirect(c, n, r.Leader, current)
	case r.Code == op.Overloaded && c.read.Kind == op.Changes && c.tries >= watchTries:
		e.finish(c, &OverloadedError{RetryAfter: c.hint, cause: errors.New(c.why)})
	case current:
		e.again(c, n, false)
	}
}

// watchTries is after how many tries a watch that the node has no room for ends:
// it has no deadline of its own.
const watchTries = 8

// isCurrent says whether tag is the copy whose answer the call waits for; an
// older copy's refusal starts nothing.
func (e *engine) isCurrent(c *call, tag uint64) bool {
	return c.state == waitAnswer && len(c.open) > 0 && c.last == tag
}

// answeredTry forgets a copy whose answer came.
func (e *engine) answeredTry(c *call, tag uint64) {
	delete(e.tags, tag)
	c.drop(tag)
}

// redirect follows a node that does not lead the partition.
func (e *engine) redirect(c *call, from *node, leader string, current bool) {
	e.stats.Redirects++
	p := c.part
	hint := e.nodes[leader]
	switch {
	case hint != nil && hint != from && hint.usable(e.now()):
		p.leader = hint
	case p.leader == from:
		p.leader = nil
	}
	if leader != "" && hint == nil {
		e.stale()
	}
	if current {
		e.again(c, from, c.tries <= freeTries && hint != nil)
	}
}

// bounced takes a request that could not be delivered or that its node refused
// as a whole. A server may bounce what it had already written to a dying
// stream, so the copies' fate stays unknown.
func (e *engine) bounced(from, id string, why *xmppconn.StanzaError) {
	condition, text := why.Condition, why.Text
	e.mu.Lock()
	defer e.mu.Unlock()
	if q := e.questions[id]; q != nil && q.node.jid == from {
		e.unconfirmed(q, errorPause)
		return
	}
	r := e.requests[id]
	if r == nil || e.nodes[from] != r.node {
		return
	}
	e.free(r)
	if condition == "resource-constraint" && why.Type == "wait" {
		e.overloaded(r, why)
		return
	}
	denied := condition == "forbidden" || condition == "not-allowed" || condition == "not-authorized"
	other := !denied && undelivered(condition) && e.otherWay(r)
	if !denied && !other {
		r.node.trouble = e.now() + troublePause
	}
	for _, tag := range r.tags {
		c := e.match(r.node, tag)
		if c == nil {
			continue
		}
		current := e.isCurrent(c, tag)
		e.answeredTry(c, tag)
		c.busy = false
		c.why = fmt.Sprintf("%s: %s %s", from, condition, text)
		switch {
		case denied && !c.uncertain():
			e.finish(c, fmt.Errorf("%w: %s", ErrDenied, c.why))
		case other:
			if c.maybe = true; current {
				e.again(c, nil, c.tries <= freeTries)
			}
		default:
			c.maybe = true
			e.leave(c.part, r.node)
			if current {
				e.again(c, r.node, c.tries <= freeTries)
			}
		}
	}
	if other { // what was sent there before may be lost without a word, and presence that says so is no news any more
		e.lost(from+": "+condition, func(asked *node, w way) bool { return asked == r.node && w == r.way })
	}
}

// leave stops taking n for the partition's leader.
func (e *engine) leave(p *partition, n *node) {
	if p.leader == n {
		p.leader = nil
	}
}

func describe(c op.Code, leader, text string) string {
	if text != "" {
		return text
	}
	switch c {
	case op.Redirect:
		if leader == "" {
			return "it knows no leader of the partition"
		}
		return leader + " leads the partition"
	case op.Retry:
		return "leadership was lost under way"
	case op.Full:
		return "its disk is full"
	case op.SessionExpired:
		return "the session expired"
	case op.Overloaded:
		return "a limit of this client or of the node is reached"
	}
	return "it is not available"
}

// refusal is the error for a final answer that applied nothing.
func refusal(c op.Code, text string) error {
	kind := ErrUnavailable
	switch c {
	case op.Invalid:
		kind = ErrInvalid
	case op.TooLarge:
		kind = ErrTooLarge
	case op.Denied:
		kind = ErrDenied
	}
	return refusalOf(kind, text)
}

func refusalOf(kind error, text string) error {
	if text == "" {
		return kind
	}
	return fmt.Errorf("%w: %s", kind, text)
}
