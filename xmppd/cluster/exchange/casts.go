package exchange

import (
	"container/list"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// What one server tells of presence and rosters is cheap to tell and may be much to do. Where more than maxTold bytes of it wait,
// each of them counting for castCost more than it has, only the latest presence of a session waits for the same accounts; where
// more than maxCasts do, the link is ended, so that all is forgotten that the server has told, and told anew.
const (
	maxTold  = 2 << 20
	maxCasts = 256 << 20
	castCost = 512
	listCost = 16 // of each account that is listed
)

// casts run what other servers have told of presence and rosters, in the order in which it came.
type casts struct {
	waiting atomic.Int64 // that are not done
	wake    chan struct{}
	seed    maphash.Seed

	mu     sync.Mutex
	next   *list.List                // of *cast
	latest map[subject]*list.Element // of next: presence that a later one replaces
	told   map[string]*told          // by server
}

// told is what a server has told by one pair of streams.
type told struct {
	bytes int  // that wait
	over  bool // it was too much: nothing counts any more
}

// cast is something to be done.
type cast struct {
	do    func(*session.Batch)
	from  *told // nil: of this server itself
	bytes int
}

// subject is whose presence is told, to whom.
type subject struct {
	server, session, mark string
	whom                  uint64
}

// fate is what becomes of what a server has told.
type fate int

const (
	entered    fate = iota
	superseded      // so is an earlier one that had waited
	refused         // the server tells more than this one can follow
	void            // as is all of a server of which something was refused, until it is connected anew
)

func newCasts() *casts {
	return &casts{
		wake: make(chan struct{}, 1), seed: maphash.MakeSeed(),
		next: list.New(), latest: make(map[subject]*list.Element), told: make(map[string]*told),
	}
}

// add adds something of this server itself.
func (c *casts) add(do func(*session.Batch)) {
	c.mu.Lock()
	c.enter(&cast{do: do})
	c.mu.Unlock()
}

// take adds what a server has told in a frame of some size.
func (c *casts) take(server string, op *im.Op, size int, do func(*session.Batch)) fate {
	size += castCost + len(op.List)*listCost
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.told[server]
	if t == nil {
		t = new(told)
		c.told[server] = t
	}
	switch {
	case t.over:
		return void
	case t.bytes+size > maxCasts:
		t.over = true
		c.drop(t)
		return refused
	}
	t.bytes += size
	var of subject
	level := false
	if t.bytes > maxTold {
		of, level = c.subject(server, op)
	}
	what := entered
	if before := c.latest[of]; level && before != nil {
		c.remove(before)
		what = superseded
	}
	if e := c.enter(&cast{do: do, from: t, bytes: size}); level {
		c.latest[of] = e
	}
	return what
}

// subject tells whose presence is told; false where it is something else, of which each counts.
func (c *casts) subject(server string, op *im.Op) (of subject, ok bool) {
	if op.Kind != im.OpCast && op.Kind != im.OpDirect {
		return of, false
	}
	st, err := stanza.One(op.Raw)
	if err != nil || st.Type.Present() && !st.IsType("unavailable") {
		return of, false
	}
	var h maphash.Hash
	h.SetSeed(c.seed)
	for _, account := range op.List {
		_, _ = h.WriteString(account)
		_ = h.WriteByte(0)
	}
	return subject{server, st.AttrString(st.From), string(rune(op.Kind)) + op.A, h.Sum64()}, true
}

// enter adds a cast. mu must be held.
func (c *casts) enter(x *cast) *list.Element {
	c.waiting.Add(1)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return c.next.PushBack(x)
}

// remove takes away a cast that waits. mu must be held.
func (c *casts) remove(e *list.Element) {
	x, _ := c.next.Remove(e).(*cast)
	x.from.bytes -= x.bytes
	c.waiting.Add(-1)
}

// drop takes away all that waits of a server. mu must be held.
func (c *casts) drop(t *told) {
	for e := c.next.Front(); e != nil; {
		after := e.Next()
		if x, _ := e.Value.(*cast); x.from == t {
			c.remove(e)
		}
		e = after
	}
	clear(c.latest) // of others, too: so that none is removed twice
}

// ended says that a server is cut off: what it tells from now on counts.
func (c *casts) ended(server string) {
	c.mu.Lock()
	delete(c.told, server)
	c.mu.Unlock()
}

// run does what has come until stop is closed, and then what is left.
func (c *casts) run(stop <-chan struct{}) {
	var b session.Batch
	for {
		c.mu.Lock()
		now := c.next
		c.next = list.New()
		clear(c.latest)
		c.mu.Unlock()
		for e := now.Front(); e != nil; e = e.Next() {
			if x, _ := e.Value.(*cast); c.counts(x) {
				x.do(&b)
				c.done(x)
			}
		}
		b.Flush()
		c.waiting.Add(-int64(now.Len()))
		if now.Len() > 0 {
			continue
		}
		select {
		case <-c.wake:
		case <-stop:
			if c.waiting.Load() == 0 {
				return
			}
		}
	}
}

// counts reports whether something is still to be done.
func (c *casts) counts(x *cast) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return x.from == nil || !x.from.over
}

func (c *casts) done(x *cast) {
	if x.from == nil {
		return
	}
	c.mu.Lock()
	x.from.bytes -= x.bytes
	c.mu.Unlock()
}
