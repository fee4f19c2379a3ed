package wal

import "errors"

// Errors of the log. Test with errors.Is; the wrapping error names the file
// and says what to do.
var (
	// ErrCorrupt: a record is damaged and valid data follows it. Nothing was changed.
	ErrCorrupt = errors.New("write-ahead log is damaged")
	// ErrForeign: the log belongs to another store.
	ErrForeign = errors.New("write-ahead log belongs to another store")
	// ErrNewerFormat: the log was written by a newer version of the program.
	ErrNewerFormat = errors.New("write-ahead log has a newer format")
	// ErrFull: no room for a segment. Nothing of the batch was written; the log
	// stays usable, and Append works again once there is room.
	ErrFull = errors.New("no room for the write-ahead log")
	// ErrFailed: a write or sync failed earlier. What is on disk is unknown, so
	// the log accepts nothing more; restart the node.
	ErrFailed = errors.New("write-ahead log has failed")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("write-ahead log is closed")
)

// Entry is one entry of a group's log. An entry at an index at or below the
// group's last one replaces it and everything behind it.
type Entry struct {
	Group uint32
	Index uint64
	Term  uint64
	Type  uint8
	Data  []byte
}

// HardState is what a Raft group must not forget.
type HardState struct {
	Group  uint32
	Term   uint64
	Vote   uint64
	Commit uint64
}

// Snapshot says that the log of the group restarts behind Index: the state up
// to there is durable elsewhere.
type Snapshot struct {
	Group uint32
	Index uint64
	Term  uint64
}

// Batch is what one Append makes durable, all of it or nothing. Snapshots take
// effect before Entries.
type Batch struct {
	Entries   []Entry
	States    []HardState
	Snapshots []Snapshot
}

// Group is what the log holds of one group. Entries are contiguous and lie
// above Snapshot.Index; they may begin below what is already applied elsewhere.
type Group struct {
	HardState HardState
	Snapshot  Snapshot
	Entries   []Entry
}

// Cut tells of a torn record at the very end of the log: a write that had not
// been acknowledged when the node crashed, or the last record damaged since.
type Cut struct {
	File   string
	Offset int64 // first byte cut off
}

// Recovered is what Open found.
type Recovered struct {
	Groups map[uint32]*Group
	Cut    *Cut // nil: the log ended cleanly
}

// Faults seed defects, for tests that show that a checker finds them.
type Faults struct {
	SkipCRC  bool // recovery believes records whose checksum is wrong
	SkipSync bool // Append returns before anything is durable
	// StopIgnored: recovery does not ask how the log was closed, so a damaged
	// last record passes for a torn one.
	StopIgnored bool
	// FoundUnsynced: Open does not make durable what a killed process had written.
	FoundUnsynced bool
	// EndUnmarked: a segment does not say that another follows.
	EndUnmarked bool
}

// Stats is a picture of the log.
type Stats struct {
	Segments int    // files that hold records
	Spares   int    // preallocated files
	Bytes    int64  // of all those files
	Appends  uint64 // since Open
	Written  uint64 // bytes appended since Open, padding not counted
	Full     bool   // no room for another segment
	// The group whose unreleased entries keep the oldest segment, and how many
	// segments there are from that one on. PinnedSegments is 0 when only the
	// active segment is left.
	PinnedBy       uint32
	PinnedSegments int
}
