package appclient

import (
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// window is the most sequences in use at a time in a partition. Half of what
// the state machine remembers, so that a session's floor never lags too far.
const window = op.MaxWindow / 2

// partition is the client's side of one partition: where its leader is thought
// to be, and the session that its writes run in (docs/adr/0001).
//
// A session's sequences are settled when their operation was answered, or when
// its caller gave up and no more copies of it will be sent. The floor is the
// lowest that is not settled. It fences the late copies of what was given up:
// below the floor nothing is executed.
type partition struct {
	id       uint32
	replicas []*node // in the ring's order
	leader   *node   // nil: ask replicas in order

	session op.Session // 0: none
	opening *call
	next    uint64 // sequence to give out
	floor   uint64
	settled [window / 64]uint64 // bit seq%window, for floor <= seq < next
	waiting []*call             // for the session or for room in the window
}

func (p *partition) begin(s op.Session) {
	p.session, p.next, p.floor = s, 1, 1
	p.settled = [window / 64]uint64{}
}

// room says whether another sequence may be given out.
func (p *partition) room() bool { return p.session != 0 && p.next-p.floor < window }

// assign gives c a session and a sequence.
func (p *partition) assign(c *call) {
	c.write.Session, c.write.Seq = p.session, p.next
	p.next++
}

// settle marks a sequence as needing no more copies, and moves the floor.
func (p *partition) settle(s op.Session, seq uint64) {
	if s == 0 || s != p.session || seq < p.floor {
		return
	}
	p.settled[seq%window/64] |= 1 << (seq % 64)
	for p.floor < p.next && p.settled[p.floor%window/64]&(1<<(p.floor%64)) != 0 {
		p.settled[p.floor%window/64] &^= 1 << (p.floor % 64)
		p.floor++
	}
}

// expire forgets a session that the partition no longer knows.
func (p *partition) expire(s op.Session) {
	if p.session == s {
		p.session = 0
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
