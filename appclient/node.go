package appclient

import (
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// node is a data node as this client sees it.
type node struct {
	jid      string // full
	ways     ways
	online   bool // its presence says so: a hint, no more
	health   wire.Health
	zone     string        // as the ring says
	trouble  time.Duration // ask others until then, on the engine's clock
	rtt      time.Duration // moving average of answers
	way      time.Duration // likewise, of those to questions for terms
	mute     time.Duration // it is not asked for terms until then
	silences int           // of it, one after the other
	dirty    bool          // in engine.dirty
	owed     int           // bytes of XML of the requests it has not answered
	lanes    [lanes]lane
	cancels  []uint64 // tags of reads that wait there and that nobody waits for here
}

// The lanes of a node.
const (
	writes  = iota // with opens and settles
	reads          // of one object, by IQ: what is answered last delays them all
	pages          // of lists, scans, queries, and objects that are too large for an IQ
	watches        // for events; they wait at the node and hold nothing back
	lanes
)

// usable says whether it makes sense to ask the node.
func (n *node) usable(now time.Duration) bool {
	return n.online && now >= n.trouble && n.health.State != "stranger" && n.health.State != "stopping"
}

// lane is the outbox of one kind of operations for one node. Few requests are
// under way at a time; what is asked for meanwhile gathers and leaves in one
// stanza when an answer comes: large bundles under load, no delay without.
type lane struct {
	queue []*call
	slots int // requests under way that hold new ones back
	burst int // requests since the last that holds a slot
}

// remove takes a call out of the queue.
func (l *lane) remove(c *call) {
	for i, q := range l.queue {
		if q == c {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return
		}
	}
}

// callOff has a node end the wait for events of a copy whose call has ended.
func (e *engine) callOff(c *call, t try) {
	n := t.req.node
	if c.kind != readCall || c.lane() != watches || e.faults.watchesAbandoned || !n.online {
		return // a node forgets the reads of who is gone
	}
	n.cancels = append(n.cancels, t.tag)
	e.mark(n)
}

// request is one stanza with operations on its way.
type request struct {
	id      string
	node    *node
	way     way // by which it was sent
	lane    int
	holding bool // a slot of the lane
	sent    time.Duration
	tags    []uint64
	left    int // tags without an answer
	bytes   int // of XML, at most
}

func (c *call) lane() int {
	switch {
	case c.kind != readCall:
		return writes
	case c.read.Kind == op.Get && !c.large:
		return reads
	case c.read.Kind == op.Changes:
		return watches
	}
	return pages
}
