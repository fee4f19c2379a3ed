package sim

import (
	"bytes"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/test/linearizability"
)

const (
	partitions    = 2
	rootsEach     = 2 // roots a partition
	pathsEach     = 3 // paths a root
	giveUpLo      = second
	giveUpHi      = 9 * second
	patienceLo    = 100 * ms
	patienceHi    = 900 * ms
	maxOperations = 200 // of a client: porcupine's work grows fast with the history
)

// client does one operation at a time and retries it, under the same session and
// sequence, until it is answered or patience ends.
type client struct {
	w        *world
	id       int
	sessions map[uint32]op.Session
	seqs     map[uint32]uint64
	floors   map[uint32]uint64
	versions map[string]uint64 // of objects, as last seen
	hints    map[uint32]uint64
	done     int
	op       *operation

	script   func() *operation // what it does, instead of drawing; nil: it is done
	told     func(ok bool)     // with a script: what came of it
	scripted uint32            // the group of the script
}

// operation is one under way.
type operation struct {
	linearizability.Operation
	group    uint32
	open     bool // opens a session; not part of the history
	begun    int64
	patience int64
	attempts int
	then     func() // what waits for the session
}

func newClient(w *world, id int) *client {
	return &client{
		w: w, id: id, sessions: make(map[uint32]op.Session), seqs: make(map[uint32]uint64), floors: make(map[uint32]uint64),
		versions: make(map[string]uint64), hints: make(map[uint32]uint64),
	}
}

// next begins the next operation after a pause.
func (c *client) next() {
	c.op = nil
	if c.script != nil {
		if o := c.script(); o != nil {
			c.begin(o, c.scripted)
		}
		return
	}
	pause := c.w.between(0, 25*ms)
	if c.w.chance(0.02) {
		pause = c.w.between(0, 4*second) // long enough for groups to fall asleep
	}
	c.w.after(pause, func() {
		if c.w.calm || c.done >= maxOperations {
			return
		}
		c.done++
		root := c.w.rng.IntN(partitions * rootsEach)
		c.begin(c.choose(fmt.Sprintf("root-%d", root)), uint32(root%partitions))
	})
}

// choose draws an operation on the root; its session is filled in by begin.
func (c *client) choose(root string) *operation {
	path := fmt.Sprint("p", c.w.rng.IntN(pathsEach))
	o := &operation{}
	switch k := c.w.rng.IntN(100); {
	case k < 20:
		o.Read = &op.Read{Kind: op.Get, Root: root, Path: path}
	case k < 27:
		o.Read = &op.Read{Kind: op.List, Root: root, FromStart: true, Limit: 100}
	default:
		o.Write = &op.Write{Root: root, Mutations: []op.Mutation{c.mutation(root, path)}}
		if c.w.chance(0.15) {
			if other := fmt.Sprint("p", c.w.rng.IntN(pathsEach)); other != path {
				o.Write.Mutations = append(o.Write.Mutations, c.mutation(root, other))
			}
		}
	}
	return o
}

func (c *client) mutation(root, path string) op.Mutation {
	m := op.Mutation{Kind: op.Put, Path: path, Value: fmt.Appendf(nil, "c%d-%d", c.id, c.w.rng.Uint32())}
	switch k := c.w.rng.IntN(10); {
	case k < 3:
		// An index has it.
		m.Value = fmt.Appendf(nil, `{"n":%d,"c":%d}`, c.w.rng.Uint32(), c.id)
	case k < 6:
		// More than a disk's sector, so that a crash can tear it.
		m.Value = append(m.Value, bytes.Repeat([]byte{'x'}, int(c.w.between(500, 3000)))...)
	}
	switch k := c.w.rng.IntN(100); {
	case k < 30:
		m.Cond = op.Condition{Kind: op.Absent}
	case k < 50:
		m.Cond = op.Condition{Kind: op.VersionIs, Version: c.versions[root+path]}
	case k < 75:
		m = op.Mutation{Kind: op.Delete, Path: path}
	}
	if m.Cond.Kind == op.VersionIs && m.Cond.Version == 0 {
		m.Cond = op.Condition{Kind: op.Present}
	}
	return m
}

func (c *client) begin(o *operation, group uint32) {
	o.group, o.begun = group, c.w.now
	o.patience = c.w.between(giveUpLo, giveUpHi)
	o.Client = c.id
	if o.Write != nil && c.sessions[group] == 0 {
		c.openThen(o, group)
		return
	}
	if o.Write != nil {
		c.seqs[group]++
		o.Write.Session, o.Write.Seq, o.Write.Floor = c.sessions[group], c.seqs[group], c.floor(group)
	}
	o.Call = c.w.stamp()
	c.op = o
	c.attempt(o)
}

// floor draws a floor that may lag behind, as with many operations under way: the
// higher it is, the less the dedupe table is put to the test.
func (c *client) floor(group uint32) uint64 {
	lag := uint64(c.w.between(0, 12))
	if seq := c.seqs[group]; seq > lag {
		c.floors[group] = max(c.floors[group], seq-lag)
	}
	return max(c.floors[group], 1)
}

// haunt sends a copy of an answered write once more, later: a straggler.
func (c *client) haunt(o *operation) {
	if o.Write == nil || !c.w.chance(0.3) {
		return
	}
	group, w := o.group, *o.Write
	c.w.after(c.w.between(0, 2*second), func() {
		to := c.w.toward(c.hints[group])
		c.w.deliver(func() {
			if n := c.w.nodes[to]; n.up {
				n.propose(group, &w, func(op.WriteResult) {})
			}
		})
	})
}

// openThen opens a session first.
func (c *client) openThen(o *operation, group uint32) {
	opening := &operation{group: group, open: true, begun: c.w.now, patience: o.patience, then: func() { c.begin(o, group) }}
	c.op = opening
	c.attempt(opening)
}

// attempt sends the operation to where the leader is thought to be.
func (c *client) attempt(o *operation) {
	if c.op != o {
		return
	}
	if c.w.now-o.begun > o.patience && !c.w.calm {
		c.abandon(o)
		return
	}
	to := c.w.toward(c.hints[o.group])
	if o.attempts > 0 && c.w.chance(0.5) {
		to = c.w.toward(0)
	}
	c.send(o, to)
	if o.Write != nil && c.w.chance(0.1) {
		c.send(o, c.w.toward(0)) // the same, by another way
	}
	tries := o.attempts
	c.w.after(c.w.between(patienceLo, patienceHi), func() {
		if o.attempts == tries {
			c.attempt(o)
		}
	})
}

func (c *client) send(o *operation, to int) {
	o.attempts++
	if o.Read != nil && o.Read.Kind == op.Get && c.w.chance(0.6) {
		c.sendConfirmed(o, c.w.nodes[to])
		return
	}
	c.w.deliver(func() {
		n := c.w.nodes[to]
		if !n.up {
			return
		}
		answered := false
		once := func() {
			if answered {
				c.w.fail("node %d answers a request twice", n.id())
			}
			answered = true
		}
		if o.Read != nil {
			n.read(o.group, o.Read, func(r op.ReadResult) {
				once()
				hint := n.leaderOf(o.group)
				c.w.deliver(func() { c.readAnswer(o, r, hint) })
			})
			return
		}
		n.propose(o.group, o.Write, func(r op.WriteResult) {
			once()
			hint := n.leaderOf(o.group)
			c.w.deliver(func() { c.writeAnswer(o, r, hint) })
		})
	})
}

// sendConfirmed sends a read, and has another node confirm the answer.
func (c *client) sendConfirmed(o *operation, to *node) {
	other := c.w.nodes[c.w.rng.IntN(len(c.w.nodes))]
	answer := func(r op.ReadResult) { c.readAnswer(o, r, to.leaderOf(o.group)) }
	c.w.askPair(to, other, o.group, o.Read, answer, answer)
}

// toward is the node with that member id, or any.
func (w *world) toward(id uint64) int {
	if n := w.byMember(id); n != nil {
		return n.index
	}
	return w.rng.IntN(len(w.nodes))
}

// again tries another time after a refusal.
func (c *client) again(o *operation, hint uint64) {
	c.hints[o.group] = hint
	tries := o.attempts
	c.w.after(c.w.between(ms, 80*ms), func() {
		if o.attempts == tries {
			c.attempt(o)
		}
	})
}

func (c *client) writeAnswer(o *operation, r op.WriteResult, hint uint64) {
	if c.op != o {
		return // answered before, or given up
	}
	switch r.Code {
	case op.OK, op.Conflict:
	case op.Redirect, op.Retry, op.Unavailable, op.Full:
		c.again(o, hint)
		return
	case op.Unknown, op.SessionExpired:
		delete(c.sessions, o.group)
		c.abandon(o)
		return
	default:
		c.w.fail("client %d: write is answered with code %d: %s", c.id, r.Code, r.Text)
		return
	}
	if o.open {
		c.sessions[o.group], c.seqs[o.group], c.floors[o.group] = r.Session, 0, 0
		c.op = nil
		o.then()
		return
	}
	for i, m := range o.Write.Mutations {
		c.versions[o.Write.Root+m.Path] = r.Items[i].Version
	}
	o.WriteResult = r
	c.finish(o)
}

func (c *client) readAnswer(o *operation, r op.ReadResult, hint uint64) {
	if c.op != o {
		return
	}
	if r.Code != op.OK && r.Code != op.NotFound {
		c.again(o, hint)
		return
	}
	for _, obj := range r.Objects {
		c.versions[o.Read.Root+obj.Path] = obj.Version
	}
	o.ReadResult = r
	c.finish(o)
}

func (c *client) finish(o *operation) {
	o.Return = c.w.stamp()
	c.w.history = append(c.w.history, o.Operation)
	if c.script == nil {
		c.haunt(o)
	} else {
		c.told(true)
	}
	c.next()
}

// abandon gives an operation up: whether a write took effect is unknown.
func (c *client) abandon(o *operation) {
	if o.Write != nil {
		o.Unknown = true
		c.w.history = append(c.w.history, o.Operation)
	}
	c.next()
}
