package bosh

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// exchange is one HTTP request.
type exchange struct {
	rid   int64
	req   *request // nil once handled
	since time.Time
	first bool        // it creates the session: its answer comes when there is one
	gone  bool        // its connection is broken, or was replaced; guarded by client.mu
	done  chan answer // gets one value
	wrote chan bool   // gets one value: the connection has taken the answer
}

// answer is what an exchange ends with; without a body its connection is cut.
type answer struct{ body []byte }

func newExchange(req *request) *exchange {
	return &exchange{rid: req.rid, req: req, since: time.Now(), done: make(chan answer, 1), wrote: make(chan bool, 1)}
}

// slot is a request that was handled and not answered. ex is nil while its connection is broken.
type slot struct {
	rid   int64
	key   string
	empty bool // it said nothing
	ex    *exchange
}

// client is one session.
type client struct {
	srv  *Server
	sid  string
	peer c2s.Peer
	// What was agreed when the session was created:
	waitMax        time.Duration
	hold, requests int
	ver, content   string
	acks           bool

	open atomic.Int32 // slots with a connection

	mu      sync.Mutex
	rid     int64 // up to this one all requests are handled
	early   []*exchange
	slots   []slot
	replies []reply
	pend    []byte    // elements, complete with namespaces, for the next answer
	group   []grouped // presence at the end of pend
	delayed bool      // it waits for more
	header  *created  // for the answer that creates the session
	known   bool      // that was sent
	report  *reply    // to be reported as unacknowledged
	keys    keys
	adapt   adaptive
	busy    bool         // somebody handles requests, or ends the session
	talk    *negotiation // nil once the resource is bound
	stream  *c2s.Stream
	end     *ending   // why the session ends
	last    bool      // the next answer is the last one
	lastEx  *exchange // has got it
	ended   bool
	// condition is that of the last answer; final is an answer for requests that come later.
	condition string
	final     []byte
	lastEmpty time.Time // the last answer, if it said nothing to a request that did neither

	expires time.Time // when it ends unless a request comes; zero while there is one
	pause   time.Duration
	// Of the wheel, guarded by its mutex:
	next   *client
	queued bool
}

// live counts the connections of the session. mu must be held.
func (c *client) live() (n int) {
	for _, ex := range c.early {
		if !ex.gone {
			n++
		}
	}
	return n + int(c.open.Load())
}

// begin takes the request that creates the session.
func (c *client) begin(req *request) *exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	ex := newExchange(req)
	ex.first, ex.req = true, nil
	c.rid, c.keys.last = req.rid, req.newKey
	c.slots = []slot{{rid: req.rid, ex: ex}}
	c.open.Store(1)
	c.talk.put(req)
	return ex
}

// submit takes a request of the session. Whatever comes of it is told to the exchange.
func (c *client) submit(req *request) *exchange {
	ex := newExchange(req)
	c.mu.Lock()
	oldest := c.rid + 1 // without an answer
	if len(c.slots) > 0 {
		oldest = c.slots[0].rid
	}
	extra := 0
	if req.terminate || req.pause >= 0 {
		extra = 1 // XEP-0124 section 9: one more is allowed for these
	}
	switch {
	case req.rid <= c.rid:
		c.repeat(ex)
	case c.ended || c.end != nil:
		ex.done <- answer{c.finalBody()}
	case req.rid > c.rid+int64(c.requests+extra):
		c.violation(itemNotFound, ex)
	case req.rid >= oldest+int64(c.requests+extra):
		c.violation(policyViolation, ex) // those between are under way: too many at a time
	default:
		c.take(ex)
	}
	c.rest()
	c.mu.Unlock()
	c.flush()
	return ex
}

// flush sends what waited for a request.
func (c *client) flush() {
	c.mu.Lock()
	st := c.stream
	if c.end != nil {
		st = nil // the last answer takes it along
	}
	c.mu.Unlock()
	if st != nil && c.Ready() {
		st.Session().Out.Flush()
	}
}

func (c *client) finalBody() []byte {
	if c.final != nil {
		return c.final
	}
	return terminateBody(itemNotFound)
}

// take lists a new request and handles those that are due. mu must be held.
func (c *client) take(ex *exchange) {
	i, again := slices.BinarySearchFunc(c.early, ex.rid, func(e *exchange, rid int64) int { return int(e.rid - rid) })
	if again {
		c.srv.metrics.repeated.Inc()
		c.early[i].cut()
		c.early[i] = ex
	} else {
		c.early = slices.Insert(c.early, i, ex)
	}
	if !c.busy {
		c.busy = true
		c.handle()
	}
}

// cut ends an exchange whose request has come again over another connection. It gets no answer: it
// could be taken for that of the request.
func (e *exchange) cut() {
	if !e.gone {
		e.gone = true
		e.done <- answer{}
	}
}

// repeat answers a request that was handled (XEP-0124 section 14.3). mu must be held.
func (c *client) repeat(ex *exchange) {
	c.srv.metrics.repeated.Inc()
	if c.srv.cfg.Faults.HandleCopies && c.stream != nil && !c.busy {
		c.busy = true
		c.payload(ex.req)
		c.busy = false
	}
	i := slices.IndexFunc(c.slots, func(s slot) bool { return s.rid == ex.rid })
	if i >= 0 && c.slots[i].key == ex.req.key {
		s := &c.slots[i]
		if s.ex != nil { // broken, and the peer has noticed first
			c.lost(s.ex)
			s.ex.cut()
		} else {
			c.open.Add(1)
		}
		s.ex = ex
		ex.req = nil
		c.trim()
		return
	}
	for j := range c.replies {
		if r := &c.replies[j]; r.rid == ex.rid && r.key == ex.req.key {
			ex.done <- answer{r.body}
			return
		}
	}
	if c.ended || c.end != nil {
		ex.done <- answer{c.finalBody()}
		return
	}
	c.violation(itemNotFound, ex)
}

// broken is called when the connection of an exchange has ended without an answer.
func (c *client) broken(ex *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ex.gone {
		return
	}
	ex.gone = true
	for i := range c.slots {
		if s := &c.slots[i]; s.ex == ex {
			s.ex = nil
			c.open.Add(-1)
			c.lost(ex)
		}
	}
	c.rest()
}

// lost takes note of a connection that broke while its request was held. mu must be held.
func (c *client) lost(ex *exchange) {
	c.srv.metrics.broken.Inc()
	c.adapt.cut(time.Since(ex.since), c.waitMax)
}

// wrote notes what became of the answer to an exchange.
func (c *client) wrote(ex *exchange, ok bool) {
	c.mu.Lock()
	for i := range c.replies {
		if r := &c.replies[i]; r.rid == ex.rid {
			r.written = r.written || ok
		}
	}
	c.mu.Unlock()
	ex.wrote <- ok
}

// timeout answers an exchange that has waited long enough.
func (c *client) timeout(ex *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open.Load() > 0 && slices.ContainsFunc(c.slots, func(s slot) bool { return s.ex == ex }) {
		c.adapt.held()
		c.answer()
	}
	if slices.Contains(c.early, ex) { // the gap before it was not filled
		ex.cut()
	}
	c.rest()
}

// answer sends what is pending, which may be nothing, to the oldest request that has a connection.
// mu must be held, and there must be one.
func (c *client) answer() {
	for i, s := range c.slots {
		if s.ex == nil {
			// It is answered first, so that the peer, should it ask again, gets no answer out of order.
			c.keep(reply{rid: s.rid, key: s.key, body: emptyBody(), at: time.Now(), received: true})
			continue
		}
		c.slots = append(c.slots[:0:0], c.slots[i+1:]...)
		c.open.Add(-1)
		r := c.compose(s.rid)
		r.key = s.key
		c.lastEmpty = time.Time{}
		if s.empty && r.to == r.from {
			c.lastEmpty = r.at
		}
		c.keep(r)
		if c.last {
			c.lastEx = s.ex
		}
		s.ex.gone = true
		s.ex.done <- answer{r.body}
		return
	}
}

// keep remembers an answer for copies of its request.
func (c *client) keep(r reply) {
	if c.srv.cfg.Faults.ForgetReplies {
		r.body, r.from, r.to = emptyBody(), 0, 0
	}
	c.replies = append(c.replies, r)
}

// trim answers requests beyond those that may be held (XEP-0124 section 11). mu must be held.
func (c *client) trim() {
	if !c.known {
		return
	}
	for int(c.open.Load()) > c.hold || c.open.Load() > 0 && len(c.pend) > 0 && !c.delayed {
		c.answer()
	}
}

// rest notes whether the session has a request. mu must be held.
func (c *client) rest() {
	switch {
	case c.ended:
	case c.live() > 0:
		c.expires = time.Time{}
	case c.expires.IsZero():
		d := c.srv.cfg.Inactivity
		if c.pause > 0 {
			d, c.pause = c.pause, 0
		}
		c.expires = time.Now().Add(d)
		c.srv.wheel.add(c, c.expires)
	}
}
