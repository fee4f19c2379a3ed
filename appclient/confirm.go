package appclient

import (
	"slices"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// A Get goes to the partition's leader, and at the same time a question for the
// partition's term to another replica: if both say the same term, the leader's answer is
// linearizable (docs/protocol.md, "Reads that you confirm"). Where that comes to nothing
// the Get is sent again, and the leader confirms it by itself.

const (
	// confirmLeast is the shortest time that a confirmation has, once the leader has
	// answered, and confirmFirst that of a node whose usual time is not known.
	confirmLeast = 5 * time.Millisecond
	confirmFirst = 20 * time.Millisecond
	// A node that says another term is not asked again for termPause: an election may be
	// under way, or it is cut off. One that did not confirm in time is not for silentFirst,
	// longer each time up to silentMost, or until it answers after all; one that answered
	// with an error not for errorPause.
	termPause   = 100 * time.Millisecond
	silentFirst = 25 * time.Millisecond
	silentMost  = time.Second
	errorPause  = 10 * time.Second
)

// question asks one member for its terms, for the Gets of one request.
type question struct {
	id     string
	node   *node
	way    way
	member uint64
	sent   time.Duration
	groups []uint64
	tags   []uint64 // of the Gets
}

// pairing is what a Get's leader and the other member have said.
type pairing struct {
	tag   uint64 // of the try; 0: nobody was asked to confirm it
	by    *node
	term  uint64 // the leader's, whose answer is in call.rres; 0: none yet
	said  uint64 // the other's; 0: none that confirms
	heard bool
}

// pair looks for somebody to confirm a Get that goes to n, and returns its number, 0
// for nobody. It is called when the Get leaves, so that nothing is confirmed that begins later.
func (e *engine) pair(o *outgoing, c *call, n *node, tag uint64) uint64 {
	p := c.part
	if c.tries > 1 || c.read.Kind != op.Get || c.read.Stale || p.leader != n || p.row < 2 || p.row > 3 {
		return 0
	}
	for _, q := range o.questions {
		if i := slices.Index(p.replicas[:p.row], q.node); i >= 0 && q.node != n && p.members[i] == q.member {
			return q.add(c, tag)
		}
	}
	now := e.now()
	for i, other := range p.replicas[:p.row] {
		if other == n || now < other.mute || !other.usable(now) || other.ways.now.stream != n.ways.now.stream {
			continue
		}
		e.lastID++
		q := &question{id: e.prefix + strconv.FormatUint(e.lastID, 36), node: other, way: other.ways.now, member: p.members[i], sent: now}
		o.questions = append(o.questions, q)
		e.questions[q.id] = q
		return q.add(c, tag)
	}
	return 0
}

func (q *question) add(c *call, tag uint64) uint64 {
	q.groups, q.tags = append(q.groups, uint64(c.part.id)), append(q.tags, tag)
	c.pairing = pairing{tag: tag, by: q.node}
	return q.member
}

// led takes a leader's answer to a Get that somebody else has to confirm.
func (e *engine) led(c *call, n *node, r *wire.ReadReply) {
	k := &c.pairing
	if k.tag != r.Tag {
		current := e.isCurrent(c, r.Tag)
		if e.answeredTry(c, r.Tag); current {
			e.again(c, n, false)
		}
		return
	}
	e.logTime = max(e.logTime, r.Time)
	e.answers.learn(&r.ReadResult, c.read.Offset)
	c.rres, k.term = r.ReadResult, r.Term
	if k.heard {
		e.judge(c)
	} else if e.isCurrent(c, k.tag) {
		c.due = e.now() + k.by.patience()
	}
}

// patience is how long a node's confirmation is waited for.
func (n *node) patience() time.Duration {
	if n.way == 0 {
		return confirmFirst
	}
	return max(confirmLeast, 4*n.way)
}

// told takes a member's terms.
func (e *engine) told(from, id string, el []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.questions[id]
	if q == nil || e.nodes[from] != q.node {
		return
	}
	member, terms, err := wire.ParseTerms(el, nil)
	if err != nil || member != q.member || len(terms) != len(q.tags) {
		e.unconfirmed(q, errorPause)
		return
	}
	took := e.now() - q.sent
	if q.node.way == 0 {
		q.node.way = took
	}
	q.node.way += (took - q.node.way) / 8
	q.node.mute, q.node.silences = 0, 0
	delete(e.questions, id)
	e.hear(q, terms)
}

// hear passes on what a member has said; without terms it has confirmed nothing.
func (e *engine) hear(q *question, terms []uint64) {
	for i, tag := range q.tags {
		c := e.tags[tag]
		if c == nil || c.pairing.tag != tag {
			continue // it has ended
		}
		if c.pairing.heard = true; terms != nil {
			c.pairing.said = terms[i]
		}
		if c.pairing.term != 0 {
			e.judge(c)
		}
	}
}

// judge ends a Get whose leader and whose other member say the same term, or has the
// leader asked again.
func (e *engine) judge(c *call) {
	if c.pairing.said == c.pairing.term || e.faults.anyTermConfirms {
		e.stats.Confirmed++
		e.finish(c, nil)
		return
	}
	if c.pairing.said != 0 {
		c.pairing.by.mute = max(c.pairing.by.mute, e.now()+termPause)
	}
	e.plain(c)
}

// plain asks the leader again, who confirms by itself this time.
func (e *engine) plain(c *call) {
	tag := c.pairing.tag
	current := e.isCurrent(c, tag)
	c.pairing = pairing{}
	if e.answeredTry(c, tag); current {
		c.why = "another replica did not confirm the answer of " + c.node.jid
		e.again(c, nil, true)
	}
}

// unconfirmed gives a question up.
func (e *engine) unconfirmed(q *question, pause time.Duration) {
	q.node.mute = e.now() + pause
	delete(e.questions, q.id)
	e.hear(q, nil)
}

// late tells whether a call that is due has the leader's answer and waits for the
// other's; then that one is asked no more for a while.
func (e *engine) late(c *call, now time.Duration) bool {
	k := &c.pairing
	if k.term == 0 || k.tag != c.last {
		return false
	}
	if n := k.by; now >= n.mute { // not once for each that waits
		n.mute = now + min(silentFirst<<min(n.silences, 8), silentMost)
		n.silences++
	}
	e.plain(c)
	return true
}

// giveUpQuestions forgets the questions to a node, nil for all, or, with an age, those
// that are older.
func (e *engine) giveUpQuestions(n *node, age time.Duration) {
	for _, q := range e.questions {
		if (n == nil || q.node == n) && e.now()-q.sent >= age {
			e.unconfirmed(q, 0)
		}
	}
}
