package replication

import (
	"errors"
	"log/slog"
	"time"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

// Errors of Open, OpenDir and Reconcile. They come wrapped with what was tried
// and what to do; compare with errors.Is.
var (
	// ErrForeignDir: the directory holds something else than a data directory, or
	// files of another store.
	ErrForeignDir = errors.New("not this node's data directory")
	// ErrDamaged: a small file of the directory does not match its checksum.
	ErrDamaged = errors.New("file is damaged")
	// ErrNewerFormat: the directory was written by a newer version.
	ErrNewerFormat = errors.New("data directory has a newer format")
	// ErrLocked: another process uses the directory.
	ErrLocked = errors.New("data directory is in use")
	// ErrStranger: the ring document has no member with this store's UUID. A wiped
	// disk is a new member, never the old one.
	ErrStranger = core.ErrStranger
	// ErrRenumbered: the ring document gives the store another number than it had, and what it has under that is being
	// deleted. Reconcile again in a moment.
	ErrRenumbered = errors.New("the store gets another number in the ring")
	// ErrForeignCluster: the document is of another cluster.
	ErrForeignCluster = errors.New("ring document of another cluster")
	// ErrLostState: the directory once held replicas whose state is gone.
	ErrLostState = core.ErrLostState
	// ErrContradiction: the log contradicts what this node has promised; most
	// likely an older copy of the data directory was put back.
	ErrContradiction = errors.New("the log contradicts what this node has promised")
	// ErrNotHeld: the node has no replica of the group.
	ErrNotHeld = errors.New("no replica of the group is here")
	// ErrClosed: the node is closed or stopped by a fatal error.
	ErrClosed = errors.New("replication node is closed")
)

// Transport carries batches to peers. The engine survives loss, duplication and
// reordering; it is fastest where they are rare.
type Transport interface {
	// Send hands over a batch for a member. It never blocks and may drop. The
	// batch belongs to the transport from then on, unless Config.Copied says otherwise.
	Send(to uint64, batch []byte)
	// SendBulk is Send for what everything else may overtake, and should: what Send
	// takes must not wait for it. Those of a kind and group keep their order. Those
	// that wait and are outdated by this one (Bulk.Outdates) should be dropped, and so
	// should it itself where the same waits. Without a batch that is all.
	SendBulk(to uint64, what Bulk, batch []byte)
	// Flush says that the batches of this moment are all handed over. It never
	// blocks.
	Flush()
	// MaxBatch is the size in bytes that travels well in one piece. A batch is
	// larger only if a single Raft message is.
	MaxBatch() int
}

// Config tells how a Node runs. Callbacks come from engine goroutines and must
// not block nor call the Node's Close.
type Config struct {
	Dir       *Dir // opened by OpenDir; the Node does not close it
	Transport Transport
	Copied    bool // Transport.Send has copied what it needs when it returns: the memory is used again
	// Free, if set, gets the batches given to Receive back when nothing of them is
	// read any more; it is called from any goroutine.
	Free func(batch []byte)
	// Spent, if set, gets the commands of proposals back when nothing reads them any
	// more, except of those that are refused; it is called from the engine's goroutine.
	Spent  func(cmd []byte)
	Logger *slog.Logger // nil: discard

	// Tick is the unit of Raft's logical clock; 0: 50 ms. Elections start after
	// 10 to 20 ticks without a leader, heartbeats go out each 2.
	Tick time.Duration
	// FlushEvery is the longest time applied changes stay out of the state file;
	// 0: 2 s. They are safe in the WAL meanwhile.
	FlushEvery time.Duration
	// Clock gives the log time of the commands that the node proposes by itself, in
	// milliseconds since 1970; nil: the machine's clock.
	Clock func() int64
	// DiskReserve is the number of free bytes below which proposals are refused
	// with op.Full; 0: 64 MiB.
	DiskReserve uint64
	// MaxPending bounds the bytes of proposals not yet answered; above it they
	// are refused with op.Unavailable; 0: 128 MiB.
	MaxPending int64

	// SnapshotRate bounds what this node sends of snapshots, to all members
	// together, in bytes a second; 0: 32 MiB. The rate of a running change of the
	// ring, if it has one, goes before.
	SnapshotRate int64

	// MaxMoves is how many groups led here take a new replica at once; 0: 4. More make a change of small groups
	// quick, and one of large groups take more memory.
	MaxMoves int

	// ScrubEvery is the time in which the state of each group led here is compared
	// once with that of its replicas; 0: 24 h; negative: only when Scrub is called.
	ScrubEvery time.Duration
	// ScrubRate bounds what a scrub reads, in bytes a second; 0: 16 MiB.
	ScrubRate int64

	// WAL and State tune the two stores; zero values mean their defaults.
	WAL   wal.Options
	State state.Options

	// Faults plants mistakes in the engine; only tests set it.
	Faults core.Faults

	// For tests:
	fs          wal.FS // the WAL's file system; nil: the operating system's
	dirtyAt     int64  // bytes not flushed at which nothing more is applied; 0: defaultDirtyAt
	beforeFlush func() // called before each flush of the state; nil: nothing

	// OnLeader tells that a group's leader as known here changed; 0: none.
	OnLeader func(group uint32, leader uint64)
	// OnRing tells of a newer ring document applied by the local replica of the
	// meta group, or given to Reconcile. The node has already reconciled itself.
	OnRing func(*ring.Document)
	// OnFull tells that the disk became full (true) or has room again (false).
	OnFull func(bool)
	// OnFatal tells, once, of the error that stopped the node (an fsync error, a
	// corrupt log). The node answers Unavailable from then on; restart it.
	OnFatal func(error)
}

// Proposal is a command for a group's log. Done is called exactly once, from an
// engine goroutine, and must not block: with the state machine's result after
// commit and apply, or with Redirect, Unavailable or Full (surely not applied)
// or Retry (leadership was lost under way; unknown). Redirect carries no JID:
// see LeaderOf. Cmd belongs to the engine from then on.
type Proposal = core.Proposal

// ReadRequest is a read; see Node.Read. Done is called exactly once, from an engine
// goroutine, and must not block. Read must not be changed before; Now is filled in
// by the node.
type ReadRequest = core.ReadRequest

// Bulk says what a batch holds that everything else may overtake.
type Bulk = core.Bulk

// BulkKind is a kind of Bulk.
type BulkKind = core.BulkKind

// The kinds of Bulk.
const (
	BulkAppend = core.BulkAppend
	BulkFrame  = core.BulkFrame
)

// GroupStatus is one group as its replica here sees it.
type GroupStatus = core.GroupStatus

// Status is a snapshot of a Node for people and monitoring.
type Status struct {
	Member     uint64
	Epoch      uint64 // of the newest known ring document; 0: none
	Held       int    // groups this node has a replica of (meta included)
	Led        int    // of these, groups it leads
	Leaderless int    // held groups without a known leader
	Awake      int    // held groups that tick; the others sleep
	Lag        uint64 // entries known committed and not yet applied here, all groups
	Full       bool
	Fatal      string // what stopped the node; "" while it runs
	DiskUsed   uint64 // bytes in the data directory (WAL and state)
	StateUsed  uint64 // bytes of the state file that hold something
	// StateWritten is the bytes of pages written to the state file since the start.
	StateWritten uint64
	DiskFree     uint64 // bytes free on its file system
	Pending      int64  // bytes of proposals not yet answered
	// SharedReads counts the reads answered with the result of an equal one that
	// was confirmed with them.
	SharedReads uint64
	// SnapshotBytes is what snapshots have sent to other members since the start, those
	// that repair among them.
	SnapshotBytes uint64
	Sending       int // snapshots under way to other members
	Receiving     int // snapshots under way from other members
	WAL           wal.Stats
	Scrub         ScrubStats
}
