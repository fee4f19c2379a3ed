package appclient

import (
	"errors"
	"iter"
	"slices"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

var errOtherCluster = errors.New("the ring document is another cluster's")

// connected notes that there is a stream. Presence will tell who is there.
func (e *engine) connected(stream int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ups[stream] = true; !e.ups[e.used] {
		e.used = stream
	}
	e.stats.Logins++
}

// disconnected notes that a stream ended: no answer will come to what was sent by it, and
// whose presence it told is not known. With another stream all goes on by that at once.
func (e *engine) disconnected(stream int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ups[stream] = false
	if e.used == stream && e.ups[1-stream] {
		e.used = 1 - stream
	}
	nobody := !e.ups[0] && !e.ups[1]
	for _, n := range e.distinct() {
		n.ways.seen[stream] = [2]bool{}
		if nobody || n.ways.now.stream == stream {
			n.cancels = nil // a node forgets the reads of who is gone
		}
		if was := n.online; e.see(n) != was && !nobody {
			e.gone(n)
		}
	}
	if !nobody {
		e.lost("the stream to a server ended", func(_ *node, w way) bool { return w.stream == stream })
		return
	}
	for _, r := range e.requests {
		r.holding = false
		e.forget(r)
	}
	e.giveUpQuestions(nil, 0)
	for _, n := range e.distinct() {
		n.trouble = 0
		for i := range n.lanes {
			l := &n.lanes[i]
			for _, c := range l.queue {
				e.pause(c)
			}
			l.queue, l.slots = nil, 0
		}
	}
	for c := range e.calls() {
		if c.state == waitAnswer {
			c.maybe = true
			e.again(c, nil, false)
		}
	}
}

// available takes a node's presence with its health.
func (e *engine) available(stream int, jid string, h *wire.Health) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.node(jid)
	before := n.usable(e.now())
	n.ways.seen[stream][n.index(jid)] = true
	n.health = *h
	e.see(n)
	if e.doc == nil || h.Epoch > e.doc.Epoch {
		e.stale()
	}
	if !before && n.usable(e.now()) {
		e.retryWaiting()
	}
}

// unavailable takes the news that a node is gone, or one of its two streams. What it was asked
// there is asked elsewhere at once.
func (e *engine) unavailable(stream int, jid string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.nodes[jid]
	if n == nil || !n.ways.seen[stream][n.index(jid)] {
		return
	}
	n.ways.seen[stream][n.index(jid)] = false
	was, to := n.online, way{stream, n.index(jid)}
	if e.see(n) {
		e.lost(jid+" became unavailable", func(asked *node, w way) bool { return asked == n && w == to })
	} else if was {
		e.gone(n)
	}
}

// gone asks others what a node was asked.
func (e *engine) gone(n *node) {
	for _, p := range e.parts {
		e.leave(p, n)
	}
	for i := range n.lanes {
		l := &n.lanes[i]
		queue := l.queue
		l.queue, l.slots = nil, 0
		for _, c := range queue {
			e.route(c, nil)
		}
	}
	for _, r := range e.requests {
		if r.node == n {
			r.holding = false
			e.forget(r)
		}
	}
	e.giveUpQuestions(n, 0)
	for c := range e.calls() {
		if c.state == waitAnswer && c.node == n {
			c.maybe, c.why = true, n.jid+" became unavailable"
			e.again(c, n, true)
		}
	}
}

// retryWaiting routes what waits for a pause to end, now that somebody came.
func (e *engine) retryWaiting() {
	for c := range e.calls() {
		if c.state == waitRetry && c.kind != openCall {
			e.route(c, nil)
		}
	}
}

// calls yields all calls that have not ended.
func (e *engine) calls() iter.Seq[*call] {
	return func(yield func(*call) bool) {
		for _, list := range [...][]*call{e.live, e.parked} {
			for _, c := range list {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// knows says whether jid is a data node.
func (e *engine) knows(jid string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.nodes[jid] != nil
}

// install takes a ring document, if it is newer than the one there is.
func (e *engine) install(doc *ring.Document) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.doc != nil {
		if e.doc.Cluster != doc.Cluster || e.doc.Partitions != doc.Partitions {
			return errOtherCluster
		}
		if e.doc.Epoch >= doc.Epoch {
			return nil
		}
	}
	e.doc = doc
	e.stats.Epoch = doc.Epoch
	for _, m := range doc.Members {
		e.node(m.JID).zone = m.Zone
	}
	if e.parts == nil {
		e.parts = make([]*partition, doc.Partitions)
		for i := range e.parts {
			e.parts[i] = &partition{id: uint32(i)}
		}
	}
	for _, p := range e.parts {
		p.replicas, p.members = p.replicas[:0], p.members[:0]
		for _, m := range doc.ReplicasOf(p.id) {
			p.replicas, p.members = append(p.replicas, e.node(m.JID)), append(p.members, m.ID)
		}
		p.row = len(p.replicas)
		p.replicas = e.addTarget(p, doc)
		if !slices.Contains(p.replicas, p.leader) {
			p.leader = nil
		}
	}
	return nil
}

// addTarget appends the members that a running change gives the partition to:
// one of them may lead it before the table says so.
func (e *engine) addTarget(p *partition, doc *ring.Document) []*node {
	if doc.Change == nil || uint64(p.id) >= uint64(len(doc.Change.Target)) {
		return p.replicas
	}
	for _, id := range doc.Change.Target[p.id] {
		if m, ok := doc.Member(id); ok && !slices.Contains(p.replicas, e.node(m.JID)) {
			p.replicas = append(p.replicas, e.node(m.JID))
		}
	}
	return p.replicas
}

// ringSources returns the nodes that may be asked for the ring, members of the
// one that is known first.
func (e *engine) ringSources() (jids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var others []string
	for _, n := range e.distinct() {
		jid := n.jid
		if !n.online {
			continue
		}
		if e.doc != nil {
			if _, member := e.doc.ByJID(jid); member {
				jids = append(jids, jid)
				continue
			}
		}
		others = append(others, jid)
	}
	if e.doc != nil && len(jids) > 0 {
		return jids
	}
	return append(jids, others...)
}

// outside says that a node has no place in the cluster, so that its ring, if it has
// one, may be an old one.
func (e *engine) outside(jid string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.nodes[jid]
	return n == nil || !n.online || n.health.State == wire.StateStranger || n.health.State == wire.StateJoining
}
