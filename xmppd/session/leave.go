package session

import (
	"slices"
	"sync"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// heldBytes bounds the messages that wait for sessions of one account that leave.
const heldBytes = 4 << 20

// Held is a message that waits behind those that a session which leaves will give back.
type Held struct {
	From, To stanza.JID
	Raw      []byte // as its receiver gets it; not shared
	Again    bool   // it comes from Left
}

// fate is whether a session takes stanzas, or what becomes of those that it had.
type fate uint8

const (
	stays fate = iota
	leaves
	hasLeft
)

// leavers are the sessions of an account that take nothing more, and have not given back yet what
// they had. What comes for the account waits: else it would arrive before what came earlier.
type leavers struct {
	mu       sync.Mutex
	sessions []*Session
	queue    []Held
	bytes    int
}

// Leave notes that a session takes nothing more and is going to give back what it had: Hold keeps
// messages for its account until Table.Left has said that it has. Only the first call counts.
// Unbind, and Bind of the session that is replaced, call it, and so does whoever finds that a
// session of the table refuses a stanza.
func (u *User) Leave(s *Session) {
	l := &u.leavers
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.fate != stays {
		return
	}
	s.fate = leaves
	l.sessions = append(l.sessions, s)
	u.idle.And(^Leaving)
}

// Leaves reports whether Hold may keep a message. A nil User has no sessions that leave.
func (u *User) Leaves() bool { return u != nil && u.Interest()&Leaving != 0 }

// All returns the sessions of the account with those that leave, which may be off the table and not have taken their presence
// back: whoever leaves the table meanwhile is among them. None for a nil User. The slice must not be changed.
func (u *User) All() []*Session {
	list := u.Sessions()
	if !u.Leaves() { // asked behind the list: Unbind and Bind say so first
		return list
	}
	l := &u.leavers
	l.mu.Lock()
	defer l.mu.Unlock()
	list = slices.Clone(list)
	for _, s := range l.sessions {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// Hold lets a message wait for the sessions that leave. held is false if none does; a message that
// Left has returned waits only for those that have begun to leave since, at the head of the queue.
// full is true if it should wait and too many do already.
func (u *User) Hold(m Held) (held, full bool) {
	l := &u.leavers
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.sessions) == 0 || m.Again && len(l.sessions) == 1: // it is the one that placed it
		return false, false
	case m.Again:
		l.queue = slices.Insert(l.queue, 0, m)
	case l.bytes+len(m.Raw) > heldBytes:
		return false, true
	default:
		l.queue = append(l.queue, m)
	}
	l.bytes += len(m.Raw)
	return true, false
}

// Left notes that a session has given back what it had. While more is true the caller has to place
// m, a message that has waited, and to call again. Left does nothing for a session that does not
// leave.
func (t *Table) Left(s *Session) (m Held, more bool) {
	u := s.user
	if u == nil {
		return Held{}, false
	}
	sh := t.userShard(s.Bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	l := &u.leavers
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.fate != leaves {
		return Held{}, false
	}
	if len(l.sessions) == 1 && len(l.queue) > 0 {
		m = l.queue[0]
		l.queue[0] = Held{}
		l.queue = l.queue[1:]
		l.bytes -= len(m.Raw)
		m.Again = true
		return m, true
	}
	s.fate = hasLeft
	l.sessions = slices.DeleteFunc(l.sessions, func(x *Session) bool { return x == s })
	if len(l.sessions) == 0 { // else another one goes on
		l.sessions, l.queue = nil, nil
		u.idle.Or(Leaving)
		if sh.m[s.Bare] == u && len(u.Sessions()) == 0 {
			delete(sh.m, s.Bare)
		}
	}
	return Held{}, false
}
