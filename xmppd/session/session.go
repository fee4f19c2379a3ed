// Package session holds the sessions of a server: bound resources with their queues of output
// (Session, Outbox), and the table that finds them by full and bare JID (Table).
package session

import (
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// Unavailable is the priority of a session that has not sent available presence.
const Unavailable = -1 << 15

// Session is one bound resource (RFC 6120 section 7).
type Session struct {
	JID  stanza.JID // full JID
	Full string     // JID.String()
	Bare string     // JID.Bare().String()
	// From is the attribute ` from='full JID'`, escaped, as it is put into each stanza.
	From []byte
	Out  Outbox

	// Order is held while presence of the session is sent out, so that what others see last is
	// what it sent last, its end included.
	Order sync.Mutex

	user     *User
	priority atomic.Int32
	ended    bool // guarded by Order

	mu       sync.Mutex
	presence []byte              // last available presence, as broadcast
	directed map[string]struct{} // who got directed presence and has to hear of the end
	roster   bool                // has asked for the roster: gets pushes
}

// New makes a session for a full JID. Its Outbox is not ready until Out.Init.
func New(j stanza.JID) *Session {
	s := &Session{JID: j, Full: j.String(), Bare: j.Bare().String()}
	s.From = stanza.AppendAttr(nil, "from", s.Full)
	s.priority.Store(Unavailable)
	return s
}

// User is the account's entry the session is listed under; nil before Table.Bind.
func (s *Session) User() *User { return s.user }

// Priority is the presence priority (RFC 6121 section 4.7.2.3), or Unavailable.
func (s *Session) Priority() int { return int(s.priority.Load()) }

// Available reports whether the session has sent available presence.
func (s *Session) Available() bool { return s.priority.Load() != Unavailable }

// SetPresence records the presence last broadcast; nil with priority Unavailable for none.
// p is kept. It reports whether the session was available before.
func (s *Session) SetPresence(p []byte, priority int) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was = s.priority.Swap(int32(priority)) != Unavailable //nolint:gosec // -128..127 or Unavailable
	s.presence = p
	return was
}

// Presence returns the presence last broadcast, nil if the session is not available.
func (s *Session) Presence() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presence
}

// WantsRoster records that the session has asked for its roster (RFC 6121 section 2.2).
func (s *Session) WantsRoster() {
	s.mu.Lock()
	s.roster = true
	s.mu.Unlock()
}

// Interested reports whether the session gets roster pushes.
func (s *Session) Interested() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roster
}

// NoteDirected records that directed presence went to a JID (available), or that it was taken
// back. At most limit JIDs are kept; it reports false when there is no room.
func (s *Session) NoteDirected(to string, available bool, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !available {
		delete(s.directed, to)
		return true
	}
	if _, known := s.directed[to]; known {
		return true
	}
	if len(s.directed) >= limit {
		return false
	}
	if s.directed == nil {
		s.directed = make(map[string]struct{})
	}
	s.directed[to] = struct{}{}
	return true
}

// TakeDirected returns the JIDs that have directed presence of the session, and forgets them.
func (s *Session) TakeDirected() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.directed))
	for j := range s.directed {
		out = append(out, j)
	}
	s.directed = nil
	return out
}

// End marks the session as gone. It reports true the first time: that caller announces the end.
// Order must be held.
func (s *Session) End() bool {
	was := s.ended
	s.ended = true
	return !was
}

// Ended reports whether End was called. Order must be held.
func (s *Session) Ended() bool { return s.ended }
