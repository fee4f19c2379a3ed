package core

import (
	"log/slog"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/wal"
)

// Proposal is a command for a group's log. Done is called exactly once; Cmd
// belongs to the engine.
type Proposal struct {
	Group uint32
	Cmd   []byte
	Done  func(op.WriteResult)
}

// ReadRequest is a read: linearizable, or Stale within MaxAge. Done is called
// exactly once.
type ReadRequest struct {
	Group uint32
	Read  *op.Read
	Done  func(op.ReadResult)
	// Now is when it came, in nanoseconds of the node's own monotonic clock. Only
	// Stale reads need it.
	Now int64
	// Owner is who asks, for replication.Node's Forget; 0: nobody in particular.
	Owner uint64
	// Tag is the Owner's name for it, for replication.Node's Cancel.
	Tag uint64
	// Parked, where it is set, is called when a read of Changes begins to wait: once at
	// most, and perhaps at the same time as Done. It must not block.
	Parked func()

	since uint64 // tick in which a follower took it
}

// Config holds the parameters of a Core. Zero values mean the defaults named.
type Config struct {
	Member        uint64 // own Raft node id
	Incarnation   uint64 // larger at each start of the node; a hint for peers
	ElectionTick  int    // ticks without a leader before an election (to twice that); 10
	HeartbeatTick int    // ticks between heartbeats of a group; 2
	SleepTicks    int    // idle ticks before a group sleeps; 20; negative: never
	PeerTicks     int    // ticks between node heartbeats to a silent peer; 5
	SilentTicks   int    // ticks of silence after which a peer counts as down; 20
	MaxBatch      int    // bytes a batch to a peer; 128 KiB
	MaxPending    int64  // bytes of proposals not yet answered; 128 MiB
	MaxLog        int64  // bytes of log kept in memory behind the applied position, all groups; 256 MiB
	KeepEntries   int    // entries kept behind the applied position for slow followers; 1024. An eighth where much is kept and nobody is away
	KeepBytes     int64  // and bytes, whichever is reached first; 1 MiB
	MaxMoves      int    // groups led here that take a new replica at once; 4
	// Spent, if set, gets the Cmd of a Proposal back as soon as nothing reads it any
	// more; not of one that is refused. It is called from within Advance.
	Spent  func(cmd []byte)
	Logger *slog.Logger
	Faults Faults
}

// Faults seed defects, for tests that show that the checkers catch them. The
// zero value is the sound engine; nothing outside of tests sets them.
type Faults struct {
	// AckBeforeFsync vouches for appends and votes when they are handed to the WAL.
	AckBeforeFsync bool
	// PromiseForgotten leaves votes out of the WAL.
	PromiseForgotten bool
	// UnconfirmedReads serves reads on the word of a leader that did not confirm
	// that it still leads.
	UnconfirmedReads bool
	// LeadsUnproven says that a leader may answer reads that clients confirm before an
	// entry of its term is committed.
	LeadsUnproven bool
	// Unpaced sends snapshots as fast as they are made.
	Unpaced bool
	// ScrubsOne compares one and the same group whenever it is the next one's turn.
	ScrubsOne bool
	// SnatchPictures drops a picture for another group's before those who may want it could ask for it.
	SnatchPictures bool
	// AnyLog takes a log that ends before what the state has seen of it.
	AnyLog bool
	// ContradictionUnnamed ends a node that has forgotten its promises like any other.
	ContradictionUnnamed bool
	// VersionUntold drops batches of another format without a word.
	VersionUntold bool
	// PublishedLate shows Standings when the rest of a Round has been carried out.
	PublishedLate bool
	// LearnersConfirm counts learners as voters where clients confirm reads.
	LearnersConfirm bool
	// StaleBoundIgnored answers Stale reads from whatever is applied.
	StaleBoundIgnored bool
	// StaleFromRoundEnd counts the age of a confirmed state from the end of the
	// round that confirmed it.
	StaleFromRoundEnd bool
	// AnyReplicaFeeds has every replica answer reads of changes, whatever it lacks.
	AnyReplicaFeeds bool
	// ArrearsIgnored has a follower answer reads of changes however long it has lacked
	// what its leader says is committed.
	ArrearsIgnored bool
	// NoPatience counts the time in which a learner was away, or not there yet, as time in
	// which it stood still.
	NoPatience bool
	// DropAny drops replicas that are too many in any order, those that are there before those that are away.
	DropAny bool
	// SkipJoint puts a set of voters in the place of another at once, without the
	// joint configuration between them.
	SkipJoint bool
	// LeadAfterRemoval lets a leader go on that is no member of its group any more.
	LeadAfterRemoval bool
	// LeaversLead has a member that leaves keep what it leads.
	LeaversLead bool
	// CopiedUntold counts what is sent of a snapshot only when it is complete.
	CopiedUntold bool
	// Outrun lets writes cut the log in front of a learner for ever.
	Outrun bool
	// TruncatePastLearner cuts the log without regard to followers that catch up.
	TruncatePastLearner bool
	// LevelAssumed keeps a short log also where a follower is away.
	LevelAssumed bool
	// DisownForgets forgets the promises of replicas whose store gets another number.
	DisownForgets bool
	// GoneByDocument deletes a replica that the ring document does not name
	// without asking the group's leader.
	GoneByDocument bool
	// ForgetOldVoters lets replicas be deleted that others still count on in
	// elections, because they do not know that the configuration has changed.
	ForgetOldVoters bool
	// FramesAsTheyCome takes frames of a snapshot without regard to their numbers.
	FramesAsTheyCome bool
	// StagedByName takes what came of an earlier pull of a snapshot for what comes
	// of the present one.
	StagedByName bool
	// DigestOfAnyIndex compares digests of states at different indexes.
	DigestOfAnyIndex bool
	// LeadWhileFull keeps leadership where the disk is full.
	LeadWhileFull bool
	// EmptyVotes lets a replica vote that was deleted and begun anew.
	EmptyVotes bool
	// AppendsOvertake lets later appends of a group overtake a large one.
	AppendsOvertake bool
	// SpentEarly gives a command back before its entry is made.
	SpentEarly bool
	// AnyAddressee takes batches that are for another member.
	AnyAddressee bool
	// BatchKept uses a peer's batch after Receive has returned.
	BatchKept bool
	// OlderState lets a repair take a state from before the damaged one's position.
	OlderState bool
	// RepairOvertaken hands out entries while those before them wait for a repair.
	RepairOvertaken bool
}

// Round is what the caller has to do after a step. It is valid until the next
// Advance; batches, jobs and answers may be kept.
type Round struct {
	Standings []Standing // publish them first
	WAL       *wal.Batch // append durably, then WALDone
	Sends     []Send
	Tasks     []Task
	Pictures  []PictureJob // then PictureDone
	Frames    []FrameJob   // then FrameDone
	Stages    []StageJob   // of a group in order, then Staged
	Closed    []uint64     // numbers of pictures not needed any more
	Damages   []uint32     // groups whose state here is wrong: apply nothing to it, then Damaged
	Repaired  []uint32     // groups whose repair is over: Damaged again if the state is
	Scrubs    []Scrub      // what digests have told
	Reads     []ReadRequest
	Answers   []func()
	Leaders   []LeaderChange
	Fitness   []Fitness // what has changed
	Removals  []Removal // replicas to delete, then Removed
}

func (r *Round) reset() {
	clear(r.Standings)
	clear(r.Sends)
	clear(r.Tasks)
	clear(r.Stages)
	clear(r.Reads)
	clear(r.Answers)
	*r = Round{
		Standings: r.Standings[:0],
		Sends:     r.Sends[:0],
		Tasks:     r.Tasks[:0],
		Pictures:  r.Pictures[:0],
		Frames:    r.Frames[:0],
		Stages:    r.Stages[:0],
		Closed:    r.Closed[:0],
		Damages:   r.Damages[:0],
		Repaired:  r.Repaired[:0],
		Scrubs:    r.Scrubs[:0],
		Reads:     r.Reads[:0],
		Answers:   r.Answers[:0],
		Leaders:   r.Leaders[:0],
		Fitness:   r.Fitness[:0],
		Removals:  r.Removals[:0],
	}
}

// Send is a batch for a peer.
type Send struct {
	To    uint64
	Batch []byte // nil: only what Bulk outdates is to be dropped
	Bulk  Bulk   // everything else goes first, if its Kind is set
}

// Task is work on a group's state: entries to apply (Entries), or a snapshot to
// put in its place (Restore).
type Task struct {
	Group   uint32
	Entries []*pb.Entry
	// Dones has a function for each entry proposed here, nil for the others; it
	// is nil when there are none.
	Dones []func(op.WriteResult)
	// Confs has the configuration that becomes valid with an entry (an encoded
	// raftpb.ConfState); nil for ordinary entries. It is nil when there are none.
	Confs [][]byte
	// Restore is the snapshot to put in the state's place, durably: its Data is the
	// name under which it is staged, completely.
	Restore *pb.Snapshot
	// Repair: it replaces a damaged state, of which Raft knows nothing.
	Repair bool

	resp  *pb.Message
	bytes int64
}

// LeaderChange tells that the leader of a group as known here is another; 0: unknown.
type LeaderChange struct {
	Group  uint32
	Leader uint64
	Term   uint64
}
