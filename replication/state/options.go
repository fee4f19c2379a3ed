package state

import (
	"errors"
	"time"
)

// Errors of the store. Test with errors.Is.
var (
	// ErrFull: the disk is full. Nothing is lost; Flush can be called again.
	ErrFull = errors.New("no room for the state")
	// ErrCorrupt: a stored record or a snapshot does not match its checksum.
	ErrCorrupt = errors.New("state is damaged")
	// ErrIncomplete: the staging holds another snapshot, or not all of it.
	ErrIncomplete = errors.New("snapshot is not complete")
	// ErrForeign: the file is of another data directory.
	ErrForeign = errors.New("state is of another store")
	// ErrNewerFormat: written by a newer version of the program.
	ErrNewerFormat = errors.New("state has a newer format")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("state is in use by another process")
	// ErrFailed: a write or sync failed earlier; what is on disk is unknown.
	ErrFailed = errors.New("state has failed")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("state is closed")
)

// Options of a Store. MaxSessions, MaxOwnerSessions, MaxOwnerItems, SessionTTL, SessionGrace, HistoryEntries and
// HistoryBytes decide what the replicated state becomes: they must be equal on all
// replicas.
type Options struct {
	MaxSessions int // sessions a partition; 0 is 4096
	// MaxOwnerSessions bounds those of one owner, so that nobody takes all places: one
	// more ends the one that the owner has not used for longest. 0 is 1024.
	MaxOwnerSessions int
	// MaxOwnerItems bounds the answers that are kept for one owner, in items of 24 bytes, of which an answer
	// has three and one for each mutation, unless these are all alike: beyond it the oldest answers of the session
	// unused for longest are given up. 0 is 262,144.
	MaxOwnerItems int
	SessionTTL    time.Duration // log time without use until a session expires; 0 is 24 h
	SessionGrace  time.Duration // log time for which a used session is never evicted for a new one; 0 is 1 min
	// HistoryEntries and HistoryBytes are what the history of a partition has at
	// least, before older entries are dropped for either; 0 is 8192 and 4 MiB.
	HistoryEntries int
	HistoryBytes   int

	// Store is the UUID of the data directory that the file belongs to. A file that
	// names another is refused, one that names none gets this name; "": any file is taken.
	Store string

	MaxReadBytes int  // most bytes of a value, or of a page, in one Read; 0 is 128 KiB
	NoSync       bool // don't fsync: for simulators only
	// OnFatal is called at most once, inside Apply or Flush, when this replica
	// must stop: pages of the file make no sense, an entry is missing, or a flush failed for another reason than room. It must not call
	// the store. Err tells the same afterwards.
	OnFatal func(error)
	// OnDamaged is called when a partition becomes Damaged, with the partition
	// locked: it must not call the store.
	OnDamaged func(partition uint32, err error)
	Faults    Faults

	stepObjects    int // tests: at most, in a step of building an index
	expirePerEntry int // tests: objects that an entry removes at most

	failFlush func() error // tests: called inside the transaction
}

// Faults seed defects, for tests that show that a checker finds them.
type Faults struct {
	AppliedOutsideTx   bool // the applied position is committed before the data
	NoDedupe           bool // a repeated operation is executed again
	ConflictUnrecorded bool // a failed condition is not recorded
	SnapshotNoSessions bool // a snapshot lacks the dedupe table
	FloorIgnored       bool // a retry below the floor is executed
	FloorFalls         bool // a session's floor follows a late copy down
	SwapIncomplete     bool // a snapshot of which a part is missing is put in the state's place
	FrameOrderIgnored  bool // a frame of a snapshot is taken without those before it
	OwnerIgnored       bool // a session serves everybody
	SettleUnrecorded   bool // that an operation was not applied is told, not recorded
	ExpiryByLocalClock bool // objects expire by the replica's own clock
	PositionByClock    bool // the position of changes is the time of day
	SnapshotNoHistory  bool // a snapshot lacks the history
	CutTooLate         bool // a cut has the first entry that is too late for it
	IndexKeepsExpired  bool // an index is not told that an object has expired
	OwnersUncounted    bool // one owner may take all places for sessions
	IndexedUnbounded   bool // a batch may make any number of index entries
	EntriesUnbounded   bool // an object may have entries of any size in an index
	AnswersUnbounded   bool // any number of answers is kept for an owner
	UsedEvicted        bool // a session in use is ended for a new one of its owner
	BacklogIgnored     bool // a root's revision is compared while expired objects wait for their removal
	OlderRestored      bool // a snapshot from before the state's position takes its place
	DamagedAnswers     bool // a damaged state goes on answering reads
	AppliedAgain       bool // entries that the state has already are applied once more
	AnyState           bool // a file of another data directory is taken
	CondemnedInMemory  bool // that a state is not the majority's is forgotten by a restart
}

func (o *Options) setDefaults() {
	if o.MaxSessions <= 0 {
		o.MaxSessions = 4096
	}
	if o.MaxOwnerSessions <= 0 {
		o.MaxOwnerSessions = 1024
	}
	if o.MaxOwnerItems <= 0 {
		o.MaxOwnerItems = 256 << 10
	}
	if o.SessionTTL <= 0 {
		o.SessionTTL = 24 * time.Hour
	}
	if o.SessionGrace <= 0 {
		o.SessionGrace = time.Minute
	}
	if o.stepObjects <= 0 {
		o.stepObjects = stepObjects
	}
	if o.expirePerEntry <= 0 {
		o.expirePerEntry = expirePerEntry
	}
	if o.HistoryEntries <= 0 {
		o.HistoryEntries = 8192
	}
	if o.HistoryBytes <= 0 {
		o.HistoryBytes = 4 << 20
	}
	if o.MaxReadBytes <= 0 {
		o.MaxReadBytes = 128 << 10
	}
}
