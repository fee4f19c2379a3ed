// Package session holds the sessions of a server: bound resources with their queues of output
// (Session, Outbox), and the table that finds them by full and bare JID (Table).
package session

import (
	"sync"
	"sync/atomic"
	"time"

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
	Sent Meters
	// In counts the stanzas of the client that have been handled, modulo 2^32. The goroutine that
	// routes the session's stream counts, and reads it.
	In uint32
	// Reliable says that the transport itself loses and doubles nothing (XEP-0124): stream management
	// is not offered on it.
	Reliable bool

	// Order is held while presence of the session is sent out, so that what others see last is
	// what it sent last, its end included.
	Order sync.Mutex
	// Bound is when the session was made, Unix ns.
	Bound int64

	// Roster is what the session was told of its roster; package im owns it.
	Roster Told

	user     *User
	escaped  bool // Full looks different in XML
	priority atomic.Int32
	notes    atomic.Uint32 // of modules (Interest.Note)
	moving   atomic.Bool   // another server is about to have it
	moved    atomic.Bool   // and has said that it does
	ended    bool          // guarded by Order
	fate     fate          // guarded by the user's leavers.mu

	mu       sync.Mutex
	presence []byte              // last available presence, as broadcast
	directed map[string][]byte   // who got directed presence, which may be empty, and has to hear of the end
	muted    map[string]struct{} // bare JIDs that answered presence with an error
	roster   bool                // has asked for the roster: gets pushes
	versions bool                // has asked for roster versions, too
	hidden   bool                // invisible (XEP-0186)
	probes   bool                // and wants the presence of its contacts all the same
	nextCast time.Duration       // since start: when the broadcasts of the past are paid for
}

// New makes a session for a full JID. Its Outbox is not ready until Out.Init.
func New(j stanza.JID) *Session {
	s := &Session{JID: j, Full: j.String(), Bare: j.Bare().String(), Bound: time.Now().UnixNano()}
	s.From = stanza.AppendAttr(nil, "from", s.Full)
	s.escaped = stanza.EscapedLen(s.Full) != len(s.Full)
	s.priority.Store(Unavailable)
	return s
}

// User is the account's entry the session is listed under; nil before Table.Bind.
func (s *Session) User() *User { return s.user }

// Priority is the presence priority (RFC 6121 section 4.7.2.3), or Unavailable.
func (s *Session) Priority() int { return int(s.priority.Load()) }

// Available reports whether the session has sent available presence.
func (s *Session) Available() bool { return s.priority.Load() != Unavailable }

// End marks the session as gone. It reports true the first time: that caller announces the end.
// Order must be held.
func (s *Session) End() bool {
	was := s.ended
	s.ended = true
	return !was
}

// Ended reports whether End was called. Order must be held.
func (s *Session) Ended() bool { return s.ended }
