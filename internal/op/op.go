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
	// Full: surely not applied; the node's disk is full. Ask another replica:
	// leadership is handed to one that has room. RetryAfter is FullRetry.
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
	// NotApplied: answer to a Settle; the operation was not applied and never will be.
	NotApplied
	// Compacted: the history does not reach back to the position asked for. Read
	// the present state and go on from its position.
	Compacted
	// Overloaded: surely not applied; a limit of the client or the node is reached.
	// RetryAfter says when to ask again.
	Overloaded
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

// Holds tells whether the condition is true of an object with this version; 0 is
// that of an object that is not there.
func (c Condition) Holds(version uint64) bool {
	switch c.Kind {
	case Absent:
		return version == 0
	case Present:
		return version != 0
	case VersionIs:
		return version == c.Version
	}
	return true
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
	// Add adds Delta to a counter: an object whose value is a decimal number. An
	// absent one counts as 0. It keeps references and expiry.
	Add
	// Check changes nothing: its condition decides about the batch.
	Check
)

// Mutation changes one object of a root. Path "" is the root object itself.
type Mutation struct {
	Kind  MutKind
	Path  string
	Cond  Condition
	Value []byte
	Refs  []Ref
	// TTL is how long a Put object lives, in milliseconds of log time; 0: for ever.
	TTL   int64
	Delta int64 // of an Add
}

// Write is one atomic batch on one root: one log entry. (Session, Seq) within
// the root's partition identifies it through every retry (docs/adr/0001).
type Write struct {
	Root    string
	Session Session
	Seq     uint64 // from 1
	Floor   uint64 // lowest sequence of the session not yet answered to the caller
	// RootCond, VersionIs or Always, is a condition on the root's revision.
	RootCond  Condition
	Mutations []Mutation
}

// Settle asks what became of a write. If it was not applied it never will be:
// the question is an entry of the log that takes its place.
type Settle struct {
	Session Session
	Seq     uint64
}

// Item is the outcome of one mutation.
type Item struct {
	Code    Code   // OK or Conflict; NotFound for a delete of nothing (not a failure)
	Version uint64 // the object's version now; 0 where there is none
	Count   int64  // Add: the counter's value now
}

// WriteResult answers a Write, a Settle or an open of a session.
type WriteResult struct {
	Code     Code
	Revision uint64  // the root's revision after the batch
	Session  Session // answer to an open
	Items    []Item  // one a mutation where Code is OK or Conflict
	Leader   string  // Redirect: full JID of the leader, if known
	Text     string  // for people: what to do
	// RetryAfter, in milliseconds, is when to ask again after Overloaded or Full; 0: soon.
	RetryAfter int64
}

// ReadKind is the kind of a Read.
type ReadKind uint8

// The reads.
const (
	Get ReadKind = iota + 1
	// List is a page of a root's objects.
	List
	// Scan is a page of the objects of all roots of a partition.
	Scan
	// Query is a page of a partition's part of an index.
	Query
	// Changes are the events behind a position. It needs no confirmation by the
	// leader: whatever replica answers, what it tells is committed and without gaps.
	Changes
)

// Read asks for objects or events of one partition. All but Changes are
// linearizable by ReadIndex (Raft thesis, section 6.4) unless Stale.
type Read struct {
	Kind ReadKind
	Root string // Get, List; Changes of one root, else ""

	// Stale allows any replica to answer with a state that was the newest at some
	// moment within the last MaxAge milliseconds.
	Stale  bool
	MaxAge int64

	// Get
	Path    string
	Offset  uint64 // first byte of the value wanted
	Version uint64 // not 0: answer Conflict when the object's version is another (for later chunks)

	// Pages. List: Prefix and After are paths. Scan: Prefix is that of the roots'
	// names, the page begins behind (AfterRoot, After).
	Prefix    string
	AfterRoot string
	After     string // exclusive; with FromStart unset
	// FromStart begins at the first path (which may be "", the root object).
	FromStart bool
	Limit     int  // most objects or events a page; 0: the node's default
	Values    bool // with values and references, as far as they fit the page
	RootsOnly bool // Scan: each root once, with the root object if it exists

	// Query
	Index    string
	IndexID  uint32  // its number where the asking node knows it, which decides then; not sent
	From, To *Scalar // bounds, inclusive; nil: none
	Desc     bool
	Cursor   []byte // Object.Cursor of the last one of the page before; nil: from the start

	// Changes: of Root (paths with Prefix), or of all roots with Prefix, or of
	// what enters, changes in or leaves Index.
	Since uint64 // the partition's position behind which to begin
	// SinceRevision begins behind a revision of Root instead; Since is 0 then.
	SinceRevision uint64
	ByRevision    bool
	// Skip is how many events of the entry behind Since, or of the revision behind
	// SinceRevision, to leave out: the page before had them.
	Skip int
	Wait int64 // milliseconds to wait for the first event; 0: none
}

// ScalarKind is the kind of a Scalar, in the order in which an index sorts them.
type ScalarKind uint8

// The kinds of JSON values that an index holds. Arrays are indexed by element,
// objects not at all.
const (
	Null ScalarKind = iota + 1
	Bool
	Number
	String
)

// Scalar is a JSON value that is neither array nor object.
type Scalar struct {
	Kind   ScalarKind
	Bool   bool
	Number float64
	String string
}

// Object is one object as read. Without Read.Values, Value and Refs of a page are
// absent and Size tells the value's length.
type Object struct {
	Root    string // Scan and Query
	Path    string
	Version uint64
	Size    uint64 // bytes of the whole value
	Expires int64  // log time at which it expires, milliseconds since 1970; 0: never
	Value   []byte // from Offset on; may end early, then Size tells what is missing
	Refs    []Ref
	Key     Scalar // Query: the value that the index has for it
	Cursor  []byte // Query: where the next page goes on
}

// EventKind says what happened to an object.
type EventKind uint8

// The events.
const (
	Written EventKind = iota + 1
	Deleted
	Expired
	// Left: Changes of an index only. The object is there, with the version
	// Revision, but no longer in the index.
	Left
)

// Event is one change of one object. Events of a partition come in the order of
// Position, those of a root in the order of Revision.
type Event struct {
	Kind     EventKind
	Root     string
	Path     string
	Position uint64 // the partition's, which is the log index
	Revision uint64 // the root's, and the object's version if it was Written
	// Superseded: a later event tells the object's value; Value is absent.
	Superseded bool
	Size       uint64 // of the whole value, which may be longer than Value
	Value      []byte
}

// ReadResult answers a Read.
type ReadResult struct {
	Code     Code
	Revision uint64 // the root's, where the read names one
	// Expiring: objects of the partition have expired and are not removed yet, so
	// Revision may stay as it is while what it stands for has changed.
	Expiring bool
	// Position is the partition's position that the answer shows; of Changes, that
	// up to which the events are complete: the next Since.
	Position   uint64
	Floor      uint64 // of Changes: the position behind which events are kept; for the node itself, clients are not told
	Time       int64  // log time at Position, milliseconds since 1970
	Objects    []Object
	Events     []Event
	More       bool // there are more after the last one
	Leader     string
	Text       string
	RetryAfter int64 // as of WriteResult
}
