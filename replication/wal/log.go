package wal

// DefaultSegmentSize is the size of a segment in bytes.
const DefaultSegmentSize = 64 << 20

// Options of a Log. The zero value is what a node runs with.
type Options struct {
	// SegmentSize in bytes, a multiple of 4096; 0 is DefaultSegmentSize.
	SegmentSize int64
	// Inline prepares segments inside Append instead of on a goroutine, so that
	// a simulator is deterministic.
	Inline bool
	Faults Faults
}

// Log is the write-ahead log of a node, shared by all its groups.
type Log struct{}

// Open recovers the log in dir, which is created if needed. store is the id of
// the data directory. Errors: ErrCorrupt, ErrForeign, ErrNewerFormat, ErrFull.
func Open(fs FS, dir string, store [16]byte, opt Options) (*Log, *Recovered, error) {
	panic("unfinished")
}

// Append makes the batch durable: one write and one fdatasync. One caller at a
// time; the batch is not kept. After ErrFull nothing of the batch was written
// and the log is usable; after any other error the log is dead.
// While there is no room, batches without entries (votes, terms) still succeed.
func (l *Log) Append(b *Batch) error { panic("unfinished") }

// Release removes or recycles the oldest segments as long as every group's
// entries in them are at or below released[group]. Safe concurrently with Append.
func (l *Log) Release(released map[uint32]uint64) error { panic("unfinished") }

// Stats is safe for concurrent use.
func (l *Log) Stats() Stats { panic("unfinished") }

// Close waits for the log's goroutine and closes the files.
func (l *Log) Close() error { panic("unfinished") }
