package replication

import (
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
)

const (
	// choresEvery is how often it is looked whether something is due.
	choresEvery = 200 * time.Millisecond
	// ticksARow is how many ticks a group gets one after the other.
	ticksARow = 64
	// maxTicks bounds the ticks under way, all groups together.
	maxTicks = 16
)

// chores are what the leader of a group does by itself: it tells the group the
// indexes of the ring document, and proposes a tick when something is
// due and nothing else is written, so that objects expire and indexes are built in
// groups that are idle. Where nothing is due nothing is proposed, and groups sleep.
type chores struct {
	clock   func() int64 // log time of commands, milliseconds since 1970
	due     func(group uint32) int64
	leads   func(group uint32) bool
	propose func(Proposal)
	// define is the command that tells a group its indexes; nil: it has them.
	define func(group uint32) []byte

	ticking map[uint32]*atomic.Bool // one at a time for each group
	under   atomic.Int64            // of all
}

// look proposes a tick in the groups led here that have something due.
func (c *chores) look(groups []uint32) {
	now := c.clock()
	for _, g := range groups {
		if at := c.due(g); at != 0 && at <= now && c.leads(g) {
			c.tick(g, now)
		}
		if c.define == nil || !c.leads(g) {
			continue
		}
		if cmd := c.define(g); cmd != nil {
			c.start(g, func(busy *atomic.Bool) {
				c.propose(Proposal{Group: g, Cmd: cmd, Done: func(op.WriteResult) { c.ended(busy) }})
			})
		}
	}
}

func (c *chores) tick(g uint32, now int64) {
	c.start(g, func(busy *atomic.Bool) { c.again(g, now, busy, ticksARow) })
}

// start calls propose unless a proposal of the group is under way, or too many are.
func (c *chores) start(g uint32, propose func(busy *atomic.Bool)) {
	busy := c.ticking[g]
	if busy == nil {
		busy = new(atomic.Bool)
		c.ticking[g] = busy
	}
	if c.under.Load() >= maxTicks || !busy.CompareAndSwap(false, true) {
		return
	}
	c.under.Add(1)
	propose(busy)
}

func (c *chores) ended(busy *atomic.Bool) {
	c.under.Add(-1)
	busy.Store(false)
}

// again proposes one tick after the other while each leaves something due: an
// entry does a bounded piece of the work.
func (c *chores) again(group uint32, now int64, busy *atomic.Bool, left int) {
	c.propose(Proposal{Group: group, Cmd: state.EncodeTick(nil, now), Done: func(res op.WriteResult) {
		if at := c.due(group); res.Code == op.OK && at != 0 && at <= now && left > 1 {
			c.again(group, now, busy, left-1)
			return
		}
		c.ended(busy)
	}})
}

func (n *Node) newChores() *chores {
	clock := n.cfg.Clock
	if clock == nil {
		clock = func() int64 { return time.Now().UnixMilli() }
	}
	return &chores{
		clock:   clock,
		ticking: make(map[uint32]*atomic.Bool),
		due: func(group uint32) int64 {
			part := n.part(group)
			if part == nil {
				return 0
			}
			expiry, cut := part.NextExpiry(), part.CutDue()
			if cut != 0 && (expiry == 0 || cut < expiry) {
				return cut
			}
			return expiry
		},
		leads: func(group uint32) bool {
			leader, ok := n.LeaderOf(group)
			return ok && leader == n.cfg.Dir.Member()
		},
		propose: func(p Proposal) { n.ProposeBatch([]Proposal{p}) },
		define:  n.definer(clock),
	}
}

// runChores looks after the groups until quit.
func (n *Node) runChores() {
	c := n.newChores()
	every := time.NewTicker(choresEvery)
	defer every.Stop()
	var groups []uint32
	for {
		select {
		case <-n.quit:
			return
		case <-every.C:
			groups = groups[:0]
			for id := range *n.parts.Load() {
				groups = append(groups, id)
			}
			c.look(groups)
		}
	}
}
