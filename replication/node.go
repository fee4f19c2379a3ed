package replication

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

const (
	defaultTick        = 50 * time.Millisecond
	defaultFlushEvery  = 2 * time.Second
	defaultDiskReserve = 64 << 20
)

// Node runs the replicas of one data directory. Its methods are safe for
// concurrent use.
//
// Goroutines: one steps the core (loop), one writes the WAL (commit), a few
// apply (each group always on the same one) and read, one flushes, one follows
// the ring, one drives a running change of it, one makes frames of snapshots for
// peers, one stages those of peers, one answers reads of changes, one looks after
// what leaders do by themselves. They talk through the inbox and queues; none waits
// for the loop.
type Node struct {
	cfg    Config
	logger *slog.Logger
	store  *state.Store
	log    *wal.Log
	rec    *wal.Recovered // for groups not yet taken up; guarded by reconciling

	core      *core.Core // of the loop goroutine
	inbox     inbox
	commits   chan *wal.Batch
	appliers  []*queue[*core.Task]
	readers   *queue[ReadRequest]
	feeds     *feeds
	standings standings
	// What snapshots to and from peers need; paced is of sendFrames.
	transfers *Transfers
	frames    *queue[func()]
	stages    *queue[core.StageJob]
	paced     time.Time
	// snapshotBytes counts what frames of snapshots to peers held.
	snapshotBytes atomic.Uint64
	scrubs        scrubs

	rings    chan *ring.Document
	flushNow chan struct{}
	flushes  flushes
	// flusherGone is closed when nothing is flushed any more.
	flusherGone chan struct{}
	quit        chan struct{} // closed to end commit, flush and ring goroutines
	stopped     chan struct{} // closed when the loop has ended
	wg          sync.WaitGroup
	loopWG      sync.WaitGroup

	parts   atomic.Pointer[map[uint32]*state.Partition]
	leaders sync.Map // group uint32 -> leader uint64
	logTime atomic.Int64
	shared  atomic.Uint64
	began   time.Time
	mixed   mixed
	known   atomic.Pointer[ring.Document]
	full    diskState
	fatal   fatalError

	reconciling sync.Mutex
	ring        *ring.Document // as the ring file has it; nil: none
	disowned    bool           // replicas are deleted because the store gets another number; guarded by reconciling
	closing     sync.Once
	closeErr    error
}

// Open recovers WAL and state of cfg.Dir and starts the groups of the stored
// ring document, if there is one. Errors: ErrNewerFormat, ErrForeignDir,
// ErrDamaged, ErrStranger, ErrLostState, those of wal.Open and state.OpenStore.
func Open(cfg Config) (*Node, error) {
	cfg = withDefaults(cfg)
	id, err := uuid.Parse(cfg.Dir.Store())
	if err != nil {
		return nil, fmt.Errorf("%w: store id: %w", ErrForeignDir, err)
	}
	known, err := loadRing(cfg.Dir.Path())
	if err != nil {
		return nil, err
	}
	n := newNode(cfg, known)
	stateOpt := cfg.State
	stateOpt.OnFatal, stateOpt.OnDamaged = n.fail, n.onDamaged
	stateOpt.Store = cfg.Dir.Store()
	if n.store, err = state.OpenStore(filepath.Join(cfg.Dir.Path(), stateFile), stateOpt); errors.Is(err, state.ErrForeign) {
		return nil, fmt.Errorf("open state: %w: put back the file that was here when the node stopped; if it is lost, %s", err, core.WhatToDo)
	} else if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	n.log, n.rec, err = wal.Open(cfg.fs, filepath.Join(cfg.Dir.Path(), walDir), id, cfg.WAL)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open write-ahead log: %w", err), n.store.Close())
	}
	if n.rec.Cut != nil {
		n.logger.Warn("write-ahead log ended in a torn record; it was cut off", "file", n.rec.Cut.File, "offset", n.rec.Cut.Offset)
	}
	if cfg.Dir.started() && len(n.rec.Groups) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: the write-ahead log of %s has vanished; %s",
			ErrLostState, cfg.Dir.Path(), core.WhatToDo), n.log.Close(), n.store.Close())
	}
	if err := n.followLog(); err != nil {
		return nil, errors.Join(err, n.log.Close(), n.store.Close())
	}
	// The ring file is written before any group starts.
	if known == nil && (cfg.Dir.started() || len(n.rec.Groups) > 0) {
		return nil, errors.Join(fmt.Errorf("%w: the file %s has vanished; %s",
			ErrLostState, filepath.Join(cfg.Dir.Path(), ringFile), core.WhatToDo), n.log.Close(), n.store.Close())
	}
	forget, err := ForgetRemoved(n.store, n.rec)
	if err == nil && forget != nil {
		err = n.log.Append(forget)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("forget deleted replicas: %w", err), n.log.Close(), n.store.Close())
	}
	n.start()
	if known != nil {
		if err := n.Reconcile(known); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// followLog refuses a log that is older than the state: with it votes, and entries
// that this node has acknowledged, would be forgotten. From then on the state notes how far the log has come.
func (n *Node) followLog() error {
	mark, err := n.store.LogMark()
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	if last := n.log.Last(); last < mark && !n.cfg.Faults.AnyLog {
		return fmt.Errorf("%w: the write-ahead log in %s ends with record %d, %s was written when it had %d: it is an older copy, or its end is lost; put back the one that was here when the node stopped; if it is lost, %s",
			ErrLostState, filepath.Join(n.cfg.Dir.Path(), walDir), last, stateFile, mark, core.WhatToDo)
	}
	n.store.MarkLog(n.log.Last)
	return nil
}

func withDefaults(cfg Config) Config {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Tick == 0 {
		cfg.Tick = defaultTick
	}
	if cfg.FlushEvery == 0 {
		cfg.FlushEvery = defaultFlushEvery
	}
	if cfg.dirtyAt == 0 {
		cfg.dirtyAt = defaultDirtyAt
	}
	if cfg.fs == nil {
		cfg.fs = wal.OSFS{}
	}
	if cfg.DiskReserve == 0 {
		cfg.DiskReserve = defaultDiskReserve
	}
	if cfg.SnapshotRate <= 0 {
		cfg.SnapshotRate = defaultSnapshotRate
	}
	if cfg.ScrubRate <= 0 {
		cfg.ScrubRate = defaultScrubRate
	}
	if cfg.ScrubEvery == 0 {
		cfg.ScrubEvery = defaultScrubEvery
	}
	return cfg
}

func newNode(cfg Config, known *ring.Document) *Node {
	n := &Node{
		cfg:      cfg,
		logger:   cfg.Logger,
		commits:  make(chan *wal.Batch, 1),
		readers:  newQueue[ReadRequest](),
		frames:   newQueue[func()](),
		stages:   newQueue[core.StageJob](),
		rings:    make(chan *ring.Document, 1),
		flushNow: make(chan struct{}, 1), flusherGone: make(chan struct{}),
		quit:    make(chan struct{}),
		stopped: make(chan struct{}),
		ring:    known,
		began:   time.Now(),
	}
	n.transfers = NewTransfers(n.part)
	n.scrubs.pictures = make(chan scrubbed, maxScrubs)
	n.scrubs.results, n.scrubs.reading = make(map[uint32]ScrubResult), make(map[uint32]int)
	n.feeds = newFeeds(func(group uint32) changeReader {
		if part := n.part(group); part != nil {
			return part
		}
		return nil
	})
	n.inbox.wake = make(chan struct{}, 1)
	n.known.Store(known)
	n.parts.Store(&map[uint32]*state.Partition{})
	n.core = core.New(core.Config{
		Member: cfg.Dir.Member(),
		// Larger at each start unless the clock was set back: a hint only.
		Incarnation: uint64(time.Now().UnixNano()),
		MaxBatch:    cfg.Transport.MaxBatch(),
		MaxPending:  cfg.MaxPending,
		Spent:       cfg.Spent,
		MaxMoves:    cfg.MaxMoves,
		Logger:      cfg.Logger,
		Faults:      cfg.Faults,
	})
	return n
}

func (n *Node) start() {
	n.loopWG.Go(n.loop)
	n.wg.Go(n.commit)
	n.wg.Go(n.flush)
	n.wg.Go(n.followRing)
	n.wg.Go(func() { n.feeds.run(n.quit) })
	n.wg.Go(n.runChores)
	n.wg.Go(n.drive)
	n.wg.Go(n.sendFrames)
	n.wg.Go(n.stageFrames)
	n.wg.Go(n.digestScrubs)
	if n.cfg.ScrubEvery > 0 {
		n.wg.Go(n.scrubInTurn)
	}
	workers := min(runtime.GOMAXPROCS(0), 8)
	for range workers {
		q := newQueue[*core.Task]()
		n.appliers = append(n.appliers, q)
		n.wg.Go(func() { n.apply(q) })
		n.wg.Go(n.serveReads)
	}
}

// Receive takes a batch that member from sent through its Transport. The caller
// has checked that it really comes from that member. It never blocks for long;
// under overload batches are dropped. The batch belongs to the engine until Config.Free
// gets it.
func (n *Node) Receive(from uint64, batch []byte) {
	if !n.inbox.batch(from, batch) {
		n.logger.Warn("dropped a batch: too much waits", "from", from, "bytes", len(batch))
		n.free(batch)
	}
}

func (n *Node) free(batch []byte) {
	if n.cfg.Free != nil {
		n.cfg.Free(batch)
	}
}

// ProposeBatch proposes commands, asynchronously; see Proposal.
func (n *Node) ProposeBatch(ps []Proposal) {
	if !n.inbox.propose(ps) {
		for _, p := range ps {
			p.Done(op.WriteResult{Code: op.Unavailable, Text: "this data node is stopping; try another replica"})
		}
	}
}

// Read serves reads, asynchronously; see ReadRequest. Those of Changes are
// answered by any replica, from what it has applied, and may wait for Read.Wait
// milliseconds; their number is up to the caller. Stale reads are answered by
// any replica that can confirm with its leader, once for all within their
// MaxAge, that its state is new enough; other reads by the leader.
func (n *Node) Read(reads []ReadRequest) {
	now := time.Since(n.began).Nanoseconds()
	var changes []ReadRequest
	rest := reads[:0]
	for i := range reads {
		if reads[i].Read.Kind == op.Changes {
			changes = append(changes, reads[i])
			continue
		}
		reads[i].Now = now
		rest = append(rest, reads[i])
	}
	if len(changes) > 0 && !n.feeds.take(changes) {
		refuseReads(changes)
	}
	if len(rest) > 0 && !n.inbox.read(rest) {
		refuseReads(rest)
	}
}

func refuseReads(reads []ReadRequest) {
	for _, r := range reads {
		r.Done(stopping())
	}
}

// Forget answers the Changes reads of an owner that still wait: it has gone.
func (n *Node) Forget(owner uint64) { n.feeds.forget(owner) }

// Cancel ends the wait of those Changes reads of an owner that have the tags: they
// are answered as if their time were over.
func (n *Node) Cancel(owner uint64, tags []uint64) { n.feeds.cancel(owner, tags) }

// LogTime is the highest log time that any replica here has applied, in
// milliseconds since 1970.
func (n *Node) LogTime() int64 { return n.logTime.Load() }

// sawLogTime raises LogTime to that of a partition.
func (n *Node) sawLogTime(part *state.Partition) {
	t := part.LogTime()
	for old := n.logTime.Load(); t > old && !n.logTime.CompareAndSwap(old, t); old = n.logTime.Load() {
	}
}

// LeaderOf names the leader of a group as known here; ok is false when none is
// known or the group is not held here.
func (n *Node) LeaderOf(group uint32) (member uint64, ok bool) {
	v, ok := n.leaders.Load(group)
	if !ok {
		return 0, false
	}
	member = v.(uint64)
	return member, member != 0
}

// SessionOwner names who opened a session in a group held here (bare JID), as
// far as applied.
func (n *Node) SessionOwner(group uint32, session op.Session) (owner string, ok bool) {
	part := n.part(group)
	if part == nil {
		return "", false
	}
	return part.SessionOwner(session)
}

// CutAt asks for a picture of a group's state as of a log time; see
// state.Partition. The leader sees to it that it comes. Errors: state.ErrPassed,
// state.ErrBusy, ErrNotHeld.
func (n *Node) CutAt(group uint32, t int64, take func(*state.Picture, error)) error {
	part := n.part(group)
	if part == nil {
		return fmt.Errorf("%w: group %d", ErrNotHeld, group)
	}
	return part.CutAt(t, take)
}

// OpenWait tells in how many ms an open by a bare JID would find a place among its
// sessions in a group held here, as far as applied; 0: at once. now is the clock in
// milliseconds since 1970.
func (n *Node) OpenWait(group uint32, owner string, now int64) int64 {
	part := n.part(group)
	if part == nil {
		return 0
	}
	return part.OpenWait(owner, now)
}

// PeerDown is the hint (presence) that a member is gone: its groups elect anew
// at once instead of after the time-out.
func (n *Node) PeerDown(member uint64) {
	n.inbox.call(func() { n.core.PeerDown(member) })
}

// PeerUp is the hint that a member is back.
func (n *Node) PeerUp(member uint64) {
	n.inbox.call(func() { n.core.PeerUp(member) })
}

// Ring is the newest ring document known here; nil while none.
func (n *Node) Ring() *ring.Document { return n.known.Load() }

func (n *Node) part(group uint32) *state.Partition { return (*n.parts.Load())[group] }
