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
	// ErrNewerFormat: written by a newer version of the program.
	ErrNewerFormat = errors.New("state has a newer format")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("state is in use by another process")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("state is closed")
)

// Options of a Store. MaxSessions, SessionTTL and SessionGrace decide what the
// replicated state becomes: they must be equal on all replicas.
type Options struct {
	MaxSessions  int           // sessions a partition; 0 is 4096
	SessionTTL   time.Duration // log time without use until a session expires; 0 is 24 h
	SessionGrace time.Duration // log time for which a used session is never evicted for a new one; 0 is 1 min
	MaxReadBytes int           // most bytes of a value, or of a page, in one Read; 0 is 128 KiB
	NoSync       bool          // don't fsync: for simulators only
	// OnFatal is called at most once, from the goroutine that noticed, when a
	// stored record that Apply needs is damaged: this replica must stop.
	// Until then Apply answers Unavailable and the applied position stands still.
	OnFatal func(error)
	Faults  Faults
}

// Faults seed defects, for tests that show that a checker finds them.
type Faults struct {
	AppliedOutsideTx   bool // the applied position is committed before the data
	NoDedupe           bool // a repeated operation is executed again
	ConflictUnrecorded bool // a failed condition is not recorded
	SnapshotNoSessions bool // a snapshot lacks the dedupe table
	FloorIgnored       bool // a retry below the floor is executed
}

// Store is the state of all partitions of a node in one bbolt file.
type Store struct{}

// OpenStore opens or creates the file. Errors: ErrNewerFormat, ErrLocked, ErrCorrupt.
func OpenStore(path string, opt Options) (*Store, error) { panic("unfinished") }

// Partition returns the partition, loading what is stored of it; an unknown one
// is empty. The same id gives the same *Partition.
func (s *Store) Partition(id uint32) (*Partition, error) { panic("unfinished") }

// Partitions lists the ids of the stored or opened partitions, ascending.
func (s *Store) Partitions() []uint32 { panic("unfinished") }

// Flush makes everything applied so far durable, in one transaction. Safe
// concurrently with Apply and Read. After ErrFull it can be repeated; after any
// other error the store is dead and every Flush returns that error.
func (s *Store) Flush() error { panic("unfinished") }

// Dirty is how many bytes, about, wait for Flush.
func (s *Store) Dirty() int64 { panic("unfinished") }

// Err returns why the store is dead, or nil.
func (s *Store) Err() error { panic("unfinished") }

// Close closes the file without flushing: what was not flushed is lost, as in a
// crash. Call Flush first for a clean end.
func (s *Store) Close() error { panic("unfinished") }
