package appclient

import (
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
)

// way is how something is sent: by which stream of the client, to which of the two
// addresses that a data node may have.
type way struct{ stream, address int }

// ways are those to a node.
type ways struct {
	addresses [2]string
	seen      [2][2]bool // available, by stream whose server says so and address
	now       way        // while the node is online
}

// node returns that with an address, made if it is new.
func (e *engine) node(address string) *node {
	n := e.nodes[address]
	if n == nil {
		jid := wire.NodeJID(address)
		n = &node{jid: jid, ways: ways{addresses: [2]string{jid, wire.SecondJID(jid)}}}
		for _, a := range n.ways.addresses {
			e.nodes[a] = n
		}
	}
	return n
}

// distinct are the nodes, each once.
func (e *engine) distinct() (all []*node) {
	for jid, n := range e.nodes {
		if jid == n.jid {
			all = append(all, n)
		}
	}
	return all
}

// index is which of the node's addresses one is.
func (n *node) index(address string) int {
	if address == n.ways.addresses[1] {
		return 1
	}
	return 0
}

// see finds the way to a node, by the stream in use if that reaches it, and says whether
// there is one.
func (e *engine) see(n *node) (online bool) {
	for _, stream := range [2]int{e.used, 1 - e.used} {
		for address, there := range n.ways.seen[stream] {
			if to := (way{stream, address}); there && e.ups[stream] {
				if n.online = true; n.ways.now != to && n.dirty {
					e.wake() // the other writer
				}
				n.ways.now = to
				return true
			}
		}
	}
	n.online = false
	return false
}

// lost sends again what was sent by a way that has ended.
func (e *engine) lost(why string, by func(*node, way) bool) {
	for _, r := range e.requests {
		if by(r.node, r.way) {
			e.free(r)
		}
	}
	for _, q := range e.questions {
		if by(q.node, q.way) {
			e.unconfirmed(q, 0)
		}
	}
	if e.faults.streamLostWaits {
		return
	}
	for c := range e.calls() {
		if r := c.current(); r != nil && c.state == waitAnswer && by(r.node, r.way) {
			c.maybe, c.why = true, why
			e.again(c, nil, true)
		}
	}
	if len(e.dirty) > 0 {
		e.wake()
	}
}

// current is the request with the last copy of a call; nil: none that may be answered.
func (c *call) current() *request {
	for _, t := range c.open {
		if t.tag == c.last {
			return t.req
		}
	}
	return nil
}

// undelivered says whether a condition is a server's word that an address is not there.
func undelivered(condition string) bool {
	switch condition {
	case "service-unavailable", "recipient-unavailable", "remote-server-timeout", "remote-server-not-found":
		return true
	}
	return false
}

// otherWay says that a node can be reached although a request to it could not be delivered:
// it has another stream. Presence says the same in a moment.
func (e *engine) otherWay(r *request) bool {
	n, back := r.node, r.node.ways.seen
	n.ways.seen[r.way.stream][r.way.address] = false
	if e.see(n) {
		return true
	}
	n.ways.seen = back
	e.see(n)
	return false
}

// silent notes that a request was not answered in time. A stream by which nothing at all has
// come since it was sent may be to a server that hangs: the other one is used from then on,
// and what was sent is sent there again.
func (e *engine) silent(r *request) bool {
	if r == nil || r.way.stream != e.used || !e.ups[1-e.used] || time.Duration(e.heard[e.used].Load()) >= r.sent {
		return false
	}
	hangs := e.used
	e.used = 1 - hangs
	for _, n := range e.distinct() {
		e.see(n)
	}
	e.lost("a server does not answer", func(_ *node, w way) bool { return w.stream == hangs })
	return true
}

// addressOf is where a node can be asked, and by which stream.
func (e *engine) addressOf(jid string) (address string, stream int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.nodes[jid]
	if n == nil || !n.online {
		return jid, e.used
	}
	return n.ways.addresses[n.ways.now.address], n.ways.now.stream
}
