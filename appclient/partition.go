package appclient

import (
	"math/rand/v2"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// partition is the client's side of one partition: where its leader is thought
// to be, and the session that its writes run in.
type partition struct {
	id       uint32
	replicas []*node  // in the ring's order, behind them those that a change makes
	members  []uint64 // of the ring's order
	row      int      // how many of them the ring's table has
	leader   *node    // nil: ask replicas in order

	session *session // nil: none
	past    []*session
	retired time.Duration // when a session was left for another one; 0: never
	opening *call
	waiting []*call // for the session or for room in it
}

// room says whether another sequence may be given out now. A session whose floor
// is held far behind is left to the store, which will remember it, and another
// is opened; if that would be too often, the oldest hold ends.
func (p *partition) room(now time.Duration) bool {
	s := p.session
	if s == nil {
		return false
	}
	if len(s.held) == 0 {
		return s.room()
	}
	s.releaseOld(now)
	for s.stuck() {
		if p.retired == 0 || now-p.retired >= retireEvery {
			p.retired, p.session = now, nil
			p.past = append(p.past, s)
			if len(p.past) > int(holdFor/retireEvery) {
				p.past = p.past[1:]
			}
			return false
		}
		s.release(s.floor)
	}
	return s.room()
}

// assign gives c a session and a sequence.
func (p *partition) assign(c *call) {
	c.ses = p.session
	c.write.Session, c.write.Seq = c.ses.id, c.ses.next
	c.ses.next++
}

// find returns the session with a number: one that this client opened, or a
// stand-in for another client's.
func (p *partition) find(id op.Session) *session {
	if p.session != nil && p.session.id == id {
		return p.session
	}
	for _, s := range p.past {
		if s.id == id {
			return s
		}
	}
	return &session{id: id, foreign: true, floor: 1}
}

// expire forgets a session that the partition no longer knows.
func (p *partition) expire(s *session) {
	if p.session == s {
		p.session = nil
	}
}

// candidate returns whom to ask: the leader if it can be asked and did not just
// fail, else the next replica after the one that failed, in the ring's order,
// else whoever there is. Nil: nobody can be asked now.
func (p *partition) candidate(failed *node, now time.Duration) *node {
	if l := p.leader; l != nil && l != failed && l.usable(now) {
		return l
	}
	start := 0
	for i, n := range p.replicas {
		if n == failed {
			start = i + 1
		}
	}
	for i := range p.replicas {
		if n := p.replicas[(start+i)%len(p.replicas)]; n != failed && n.usable(now) {
			return n
		}
	}
	if failed != nil && failed.usable(now) {
		return failed
	}
	return nil
}

// nearest returns a replica for a read that any of them may answer: of those in
// the client's zone, if there are such, else of all, the better of two taken at
// random. So the load spreads, and slow nodes get less of it. Replicas that are
// being made have yet to catch up: they are not asked.
func (p *partition) nearest(zone string, failed *node, now time.Duration) *node {
	var near, far [maxReplicas]*node
	nears, fars := 0, 0
	for _, n := range p.replicas[:p.row] {
		switch {
		case n == failed || !n.usable(now):
		case zone != "" && n.zone == zone && nears < maxReplicas:
			near[nears] = n
			nears++
		case fars < maxReplicas:
			far[fars] = n
			fars++
		}
	}
	among := near[:nears]
	if nears == 0 {
		among = far[:fars]
	}
	if len(among) == 0 {
		return p.candidate(failed, now)
	}
	a, b := among[rand.IntN(len(among))], among[rand.IntN(len(among))]
	if b.cost() < a.cost() {
		return b
	}
	return a
}

// maxReplicas is how many replicas of a partition nearest looks at.
const maxReplicas = 9

// cost compares nodes by how long an answer may take.
func (n *node) cost() time.Duration {
	waiting := 0
	for i := range n.lanes {
		waiting += len(n.lanes[i].queue)
	}
	return n.rtt + n.rtt*time.Duration(waiting)/16
}
