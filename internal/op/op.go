// Package op holds the store's operations and their results as plain values.
// It is the vocabulary shared by the client, the wire codec, the data node and
// the replicated state machine; it does no I/O and imports nothing of ours.
package op

// Code says how an operation ended.
type Code uint8

// The codes. Only OK, NotFound, Conflict, Invalid, Denied and TooLarge are
// final answers about the operation itself; the others say what to do next.
const (
	// OK: done; for a write, durable on a majority and applied.
	OK Code = iota + 1
	// NotFound: a read found no such object.
	NotFound
	// Conflict: a condition did not hold; nothing of the batch was applied. The
	// refusal is recorded like a success, so a late copy cannot succeed.
	Conflict
	// Redirect: this node does not lead the partition and did not propose the
	// operation. Result.Leader names a better candidate when one is known.
	Redirect
	// Retry: the operation may or may not have been accepted (leadership was
	// lost under way). Ask again under the same session and sequence.
	Retry
	// Unavailable: surely not applied (no leader, overloaded, shutting down).
	Unavailable
	// Full: surely not applied; the node's disk is full.
	Full
	// Unknown: the sequence lies below the session's floor, or the dedupe window
	// was overrun: whether it was applied can no longer be told. Never executed again.
	Unknown
	// SessionExpired: the partition does not know the session. This copy was not applied.
	SessionExpired
	// Invalid: malformed, unknown kind, bad key. Text says what to do.
	Invalid
	// TooLarge: over a documented limit.
	TooLarge
	// Denied: the sender's role does not permit it.
	Denied
)

// Session numbers a client's session in one partition. It is the log index of
// the entry that opened it, so it is never reused there. Zero is no session.
type Session uint64

// CondKind is the kind of a Condition.
type CondKind uint8

// The conditions, evaluated in the state machine.
const (
	Always CondKind = iota
	Absent
	Present
	VersionIs
)

// Condition guards one mutation.
type Condition struct {
	Kind    CondKind
	Version uint64 // for VersionIs
}

// Ref is a weak reference to an object, usually of another root. Nothing keeps
// its target alive; it is resolved lazily.
type Ref struct {
	Root string
	Path string
}

// MutKind is the kind of a Mutation.
type MutKind uint8

// The mutations.
const (
	Put MutKind = iota + 1
	Delete
)

// Mutation changes one object of a root. Path "" is the root object itself.
type Mutation struct {
	Kind  MutKind
	Path  string
	Cond  Condition
	Value []byte
	Refs  []Ref
}

// Write is one atomic batch on one root: one log entry. (Session, Seq) within
// the root's partition identifies it through every retry (docs/adr/0001).
type Write struct {
	Root      string
	Session   Session
	Seq       uint64 // from 1
	Floor     uint64 // lowest sequence of the session not yet answered to the caller
	Mutations []Mutation
}

// Item is the outcome of one mutation.
type Item struct {
	Code    Code   // OK or Conflict; NotFound for a delete of nothing (not a failure)
	Version uint64 // the object's version now; 0 where there is none
}

// WriteResult answers a Write or an open of a session.
type WriteResult struct {
	Code     Code
	Revision uint64  // the root's revision after the batch
	Session  Session // answer to an open
	Items    []Item  // one a mutation where Code is OK or Conflict
	Leader   string  // Redirect: full JID of the leader, if known
	Text     string  // for people: what to do
}

// ReadKind is the kind of a Read.
type ReadKind uint8

// The reads.
const (
	Get ReadKind = iota + 1
	List
)

// Read asks for one object or for a page of a root's objects. Both are
// linearizable by ReadIndex (Raft thesis, section 6.4).
type Read struct {
	Kind ReadKind
	Root string
	// Get
	Path    string
	Offset  uint64 // first byte of the value wanted
	Version uint64 // not 0: answer Conflict when the object's version is another (for later chunks)
	// List
	Prefix string
	After  string // exclusive; with FromStart unset
	// FromStart begins at the first path (which may be "", the root object).
	FromStart bool
	Limit     int // most objects a page; 0: the node's default
}

// Object is one object as read. In a List, Value is absent and Size tells its length.
type Object struct {
	Path    string
	Version uint64
	Size    uint64 // bytes of the whole value
	Value   []byte // from Offset on; may end early, then Size tells what is missing
	Refs    []Ref
}

// ReadResult answers a Read.
type ReadResult struct {
	Code     Code
	Revision uint64
	Objects  []Object
	More     bool // List: there are more after the last one
	Leader   string
	Text     string
}
