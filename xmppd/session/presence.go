package session

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// SetPresence records the presence that others see; nil for none. The priority stands for being
// available at all: an invisible session has one and no presence. p is kept. It reports what was
// seen of the session before.
func (s *Session) SetPresence(p []byte, priority int) (before []byte) {
	s.mu.Lock()
	other := s.priority.Swap(int32(priority)) != int32(priority) //nolint:gosec // -128..127 or Unavailable
	before, s.presence = s.presence, p
	s.mu.Unlock()
	if other && s.user != nil {
		s.user.tell()
	}
	return before
}

// Presence returns the presence that others see, nil if the session is not available or is
// invisible. It must not be changed.
func (s *Session) Presence() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presence
}

// SetHidden makes the session invisible, with or without the presence of its contacts, or visible
// (XEP-0186). It reports whether it was invisible.
func (s *Session) SetHidden(hidden, probes bool) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, s.hidden, s.probes = s.hidden, hidden, probes
	return was
}

// Hidden reports what SetHidden has said.
func (s *Session) Hidden() (hidden, probes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hidden, s.probes
}

// Told is what a session that gets roster pushes knows. The lock is held while some are put into its queue,
// so that they come in the order of the changes, whoever has made these.
type Told struct {
	sync.Mutex
	Version uint64 // of the roster; pushes have come up to this one
	Groups  uint64 // of the shared groups
	Moves   bool   // another server is about to have the session, and makes its pushes
}

// Moving reports whether another server is about to have the session, or has it. Unlike Told.Moves it waits for nobody.
func (s *Session) Moving() bool { return s.moving.Load() }

// MovedOn takes note that another server has said that it has the session. It does nothing unless one is about to have it.
func (s *Session) MovedOn() { s.moved.Store(s.moving.Load()) }

// HasMoved reports what MovedOn has noted.
func (s *Session) HasMoved() bool { return s.moved.Load() }

// StopMoving says that the session stays here after all (Told.Moves).
func (s *Session) StopMoving() {
	s.moving.Store(false)
	s.moved.Store(false)
	s.Roster.Lock()
	s.Roster.Moves = false
	s.Roster.Unlock()
}

// SetInterest says whether the session gets roster pushes, because it has asked for the roster (RFC
// 6121 section 2.2), and whether with their version (section 2.6).
func (s *Session) SetInterest(pushes, versions bool) {
	s.mu.Lock()
	s.roster, s.versions = pushes, versions
	s.mu.Unlock()
}

// Interested reports what SetInterest has said.
func (s *Session) Interested() (pushes, versions bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roster, s.versions
}

// NoteDirected records that directed presence went to a JID (available), or that it was taken
// back. p is that presence, if anybody wants to know (EachDirected). At most limit JIDs are kept; it reports false
// when there is no room.
func (s *Session) NoteDirected(to string, available bool, p []byte, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !available {
		delete(s.directed, to)
		return true
	}
	if _, known := s.directed[to]; !known && len(s.directed) >= limit {
		return false
	}
	if s.directed == nil {
		s.directed = make(map[string][]byte)
	}
	s.directed[to] = p
	return true
}

// EachDirected calls f for each JID that has directed presence of the session, with what NoteDirected was
// given, in order.
func (s *Session) EachDirected(f func(to string, p []byte)) {
	s.mu.Lock()
	all := maps.Clone(s.directed)
	s.mu.Unlock()
	for _, to := range slices.Sorted(maps.Keys(all)) {
		f(to, all[to])
	}
}

// Directed reports whether a JID has directed presence of the session.
func (s *Session) Directed(to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, has := s.directed[to]
	return has
}

// TakeDirected returns the JIDs that have directed presence of the session, in order, and forgets them.
func (s *Session) TakeDirected() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := members(s.directed)
	s.directed = nil
	return out
}

// Mute records that a contact has answered presence with an error: it gets no more of this
// session (RFC 6121 section 4.4.2). At most limit are kept.
func (s *Session) Mute(bare string, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&s.muted, bare, limit)
}

// Unmute records that a contact has sent presence that is no error.
func (s *Session) Unmute(bare string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.muted, bare)
}

// Muted returns the contacts that get no presence of the session, nil for none, and forgets them
// if the presence session is over.
func (s *Session) Muted(over bool) map[string]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.muted) == 0 {
		return nil
	}
	out := make(map[string]struct{}, len(s.muted))
	for j := range s.muted {
		out[j] = struct{}{}
	}
	if over {
		s.muted = nil
	}
	return out
}

// add puts a member into a set, which is made if need be. It reports false if it has no room.
func add(set *map[string]struct{}, member string, limit int) bool {
	if _, known := (*set)[member]; known {
		return true
	}
	if len(*set) >= limit {
		return false
	}
	if *set == nil {
		*set = make(map[string]struct{})
	}
	(*set)[member] = struct{}{}
	return true
}

// Cast takes note of a presence broadcast at a time, given as the duration since some start, when
// each may take `every` and `burst` of them may come at once. It reports whether this one is within
// that; if not, it is not counted.
func (s *Session) Cast(now, every time.Duration, burst int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := max(s.nextCast, now-every*time.Duration(burst-1)) // what is unused of the past is kept for a burst
	if next > now {
		return false
	}
	s.nextCast = next + every
	return true
}

// AllDirected returns the JIDs that have directed presence of the session, in order.
func (s *Session) AllDirected() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return members(s.directed)
}
