package appclient

import (
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

const (
	// window is the most sequences in use at a time in a session. Half of what
	// the state machine remembers, so that a session's floor never lags too far.
	window = op.MaxWindow / 2
	// holdFor is how long the floor waits below a write whose outcome is unknown,
	// or whose id the caller chose, so that the store can still tell of it.
	holdFor = 10 * time.Minute
	// crowded is how many sequences a held floor may be behind before the session
	// is left as it is and another one opened; retireEvery is how often, at most.
	crowded     = window / 2
	retireEvery = time.Minute
)

// session is a client's session in a partition (docs/adr/0001).
//
// Its sequences are settled when their operation was answered, or when its
// caller gave up and no more copies of it will be sent. The floor is the
// lowest that is not settled. It fences the late copies of what was given up:
// below the floor nothing is executed, and nothing is known any more. So a
// write of unknown outcome is held for a time before it is settled.
type session struct {
	id      op.Session
	foreign bool   // another client's: it decides about the floor
	next    uint64 // sequence to give out
	floor   uint64
	settled [window / 64]uint64 // bit seq%window, for floor <= seq < next
	held    []hold              // in the order in which they end
}

// hold keeps the floor below a sequence for a time.
type hold struct {
	seq   uint64
	sent  bool          // a copy may have been accepted
	until time.Duration // on the engine's clock
}

func newSession(id op.Session) *session { return &session{id: id, next: 1, floor: 1} }

// room says whether another sequence may be given out.
func (s *session) room() bool { return s.next-s.floor < window }

// settle marks a sequence as needing no more copies, and moves the floor.
func (s *session) settle(seq uint64) {
	if s.foreign || seq < s.floor {
		return
	}
	s.settled[seq%window/64] |= 1 << (seq % 64)
	for s.floor < s.next && s.settled[s.floor%window/64]&(1<<(s.floor%64)) != 0 {
		s.settled[s.floor%window/64] &^= 1 << (s.floor % 64)
		s.floor++
	}
}

// hold keeps the sequence from being settled until a time. What was held before
// is held anew.
func (s *session) hold(seq uint64, sent bool, until time.Duration) {
	if s.foreign || seq < s.floor {
		return
	}
	for i := range s.held {
		if s.held[i].seq == seq {
			sent = sent || s.held[i].sent
			s.held = append(s.held[:i], s.held[i+1:]...)
			break
		}
	}
	s.held = append(s.held, hold{seq, sent, until})
}

// holds returns the hold of a sequence, nil if there is none.
func (s *session) holds(seq uint64) *hold {
	for i := range s.held {
		if s.held[i].seq == seq {
			return &s.held[i]
		}
	}
	return nil
}

// release ends the hold of a sequence.
func (s *session) release(seq uint64) {
	for i := range s.held {
		if s.held[i].seq == seq {
			s.held = append(s.held[:i], s.held[i+1:]...)
			s.settle(seq)
			return
		}
	}
}

// releaseOld ends the holds whose time is over.
func (s *session) releaseOld(now time.Duration) {
	for len(s.held) > 0 && now >= s.held[0].until {
		s.release(s.held[0].seq)
	}
}

// stuck says that the floor is far behind because of a hold.
func (s *session) stuck() bool {
	return len(s.held) > 0 && s.next-s.floor >= crowded && s.holds(s.floor) != nil
}
