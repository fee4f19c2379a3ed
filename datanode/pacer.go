package datanode

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
)

// What is bulky (large appends, frames of snapshots) must neither overrun its
// receiver, for XMPP has no flow control from end to end and a server cuts off who
// does not read as fast as others send to it, nor make what is urgent wait behind it.
const (
	pacePart    = 96 << 10  // bytes of a stanza with a part, at most
	paceWaiting = 256 << 20 // bytes that may wait before more is dropped; one batch may exceed it
	paceAgain   = 20 * time.Millisecond
	paceStale   = 2 * time.Second // without a word of parts they are taken for lost
)

// pacer sends bulky batches part by part, as fast as their receivers say that
// they got them. Everything else passes by it. Each peer has a lane for appends,
// whose order it keeps, and one for frames; lanes take turns. What waits and has
// become useless is dropped: see replication.Bulk.
type pacer struct {
	open func(p *peer, batch []byte) *wire.Splitter
	send func(p *peer, part []byte) error
	full error // what send returns when the stream has no room just now

	mu      sync.Mutex
	active  []*lane // with something in it
	waiting int     // bytes
	wake    chan struct{}

	keepOutdated bool // seeded by tests
}

// lane is a queue of batches. Its fields belong to the pacer, under its lock.
type lane struct {
	p        *peer
	elements []*element
}

type element struct {
	what  replication.Bulk
	batch []byte
	parts *wire.Splitter // of the sending goroutine; nil: not begun
}

func (c *pacer) init(open func(*peer, []byte) *wire.Splitter, send func(*peer, []byte) error, full error) {
	c.open, c.send, c.full, c.wake = open, send, full, make(chan struct{}, 1)
}

func (c *pacer) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// push takes a batch for a peer, or drops it when too much waits already or the
// same waits. Without a batch it only drops what is outdated. It never blocks.
func (c *pacer) push(p *peer, what replication.Bulk, batch []byte) {
	l := &p.appends
	if what.Kind == replication.BulkFrame {
		l = &p.frames
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.p == nil {
		l.p = p // read without the lock from now on
	}
	c.drop(l, func(e *element) bool { return !c.keepOutdated && what.Outdates(e.what) })
	if batch == nil || c.waiting >= paceWaiting ||
		slices.ContainsFunc(l.elements, func(e *element) bool { return e.what == what }) {
		return
	}
	if len(l.elements) == 0 {
		c.active = append(c.active, l)
	}
	c.waiting += len(batch)
	l.elements = append(l.elements, &element{what: what, batch: batch})
	c.poke()
}

// drop removes elements of a lane. One of which parts have left is cut off: its
// receiver forgets them for the next one's.
func (c *pacer) drop(l *lane, which func(*element) bool) {
	if len(l.elements) == 0 {
		return
	}
	l.elements = slices.DeleteFunc(l.elements, func(e *element) bool {
		if !which(e) {
			return false
		}
		c.waiting -= len(e.batch)
		return true
	})
	if len(l.elements) == 0 {
		l.elements = nil
		c.active = slices.DeleteFunc(c.active, func(other *lane) bool { return other == l })
	}
}

// got notes that a peer has received parts.
func (c *pacer) got(p *peer, parts int) {
	c.mu.Lock()
	p.flight.landed(parts, time.Now())
	c.mu.Unlock()
	c.poke()
}

// next chooses the lane whose turn it is among those that may send a part. l is nil
// when none may, waiting then says whether something waits.
func (c *pacer) next(turn int) (l *lane, e *element, waiting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.active {
		if l = c.active[(i+turn)%len(c.active)]; l.p.flight.take(time.Now()) {
			return l, l.elements[0], true
		}
	}
	return nil, nil, len(c.active) > 0
}

// sent notes that a part has left. After an error the peer or the stream is gone,
// and with it all that waits for the peer.
func (c *pacer) sent(l *lane, e *element, err error) {
	if err != nil {
		c.forget(l.p)
		return
	}
	if e.parts.Done() {
		c.mu.Lock()
		c.drop(l, func(other *element) bool { return other == e })
		c.mu.Unlock()
	}
}

// forget drops all that waits for a peer, and what is on its way to it.
func (c *pacer) forget(p *peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range [...]*lane{&p.appends, &p.frames} {
		c.drop(l, func(*element) bool { return true })
	}
	p.flight = flight{}
}

// run sends until ctx ends.
func (c *pacer) run(ctx context.Context) {
	stale := time.NewTicker(paceStale / 4)
	defer stale.Stop()
	var buf []byte
	for turn := 0; ; turn++ {
		l, e, waiting := c.next(turn)
		if l == nil {
			var again <-chan time.Time
			if waiting {
				again = stale.C
			}
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
			case <-again:
			}
			continue
		}
		if e.parts == nil {
			e.parts = c.open(l.p, e.batch)
		}
		buf = e.parts.Append(buf[:0])
		err := c.send(l.p, buf)
		for err != nil && err == c.full {
			if !rest(ctx, paceAgain) {
				return
			}
			err = c.send(l.p, buf)
		}
		c.sent(l, e, err)
	}
}

// rest waits; false when ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
