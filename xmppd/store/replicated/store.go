package replicated

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// maxServing is how many requests of other servers that may wait are under way at most.
const maxServing = 1024

// movesAtOnce is how many partitions that a server leads get a new copy at once. They are small, so that most of the time
// goes with waiting for one step after the other.
const movesAtOnce = 8

// Store is a store.Store on the servers of a cluster. All methods are safe for concurrent use.
type Store struct {
	opt     Options
	log     *slog.Logger
	dir     *replication.Dir
	storeID uuid.UUID
	node    *replication.Node

	ring     atomic.Pointer[ring.Document] // the newest known; nil: none
	newest   atomic.Uint64                 // epoch that somebody has told of
	leaders  sync.Map                      // group uint32 -> member uint64, as others say
	behind   sync.Map                      // group uint32 -> time.Time until which others are asked first
	lost     lost
	watch    watch
	files    files
	stale    sync.Map                 // UUIDs (string) of data that has left
	leaving  sync.Map                 // of data that is to leave: UUID (string) -> name of its server (string)
	identity atomic.Pointer[identity] // nil until it is known
	failed   chan error
	calls    calls
	back     bell // rings when a server is back
	held     held
	lanes    lanes
	serving  chan struct{}
	look     chan struct{} // wakes the steward
	ready    chan struct{} // closed when identity is known

	quit    chan struct{} // closed by Close
	closing atomic.Bool
	ending  atomic.Bool    // Ending
	left    atomic.Bool    // ErrLeft
	calmed  atomic.Bool    // it was told that the joining was called off
	founded atomic.Bool    // Founded
	stops   sync.WaitGroup // the steward

	mu       sync.Mutex // guards what follows
	sessions map[uint32]*session
	wg       sync.WaitGroup // operations; none begins once closed is set
	closed   bool
	closeErr error
	once     sync.Once
}

var _ store.Store = (*Store)(nil)

// Open opens this server's replicas, or makes a new data directory, and takes part in the
// cluster until Close. It does not wait for the others: see Ready. Errors: those of
// replication.OpenDir and replication.Open.
func Open(opt Options) (*Store, error) {
	opt.setDefaults()
	dir, err := replication.OpenDir(opt.Dir)
	if err != nil {
		return nil, locked(advise(opt.Dir, err))
	}
	id, err := uuid.Parse(dir.Store())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", store.ErrForeign, opt.Dir, err), dir.Close())
	}
	s := &Store{
		opt: opt, log: opt.Logger, dir: dir, storeID: id,
		failed: make(chan error, 1), serving: make(chan struct{}, maxServing), look: make(chan struct{}, 1),
		ready: make(chan struct{}), quit: make(chan struct{}), sessions: make(map[uint32]*session),
	}
	s.node, err = replication.Open(replication.Config{
		Dir: dir, Transport: carrier{s}, Logger: opt.Logger,
		Tick: opt.Tick, FlushEvery: opt.FlushEvery, DiskReserve: opt.DiskReserve, MaxMoves: movesAtOnce, WAL: wal.Options{SegmentSize: opt.Segment},
		OnRing:  func(doc *ring.Document) { s.saw(doc); s.wake() },
		OnFatal: func(err error) { s.fail(advise(opt.Dir, err)) }, OnFull: s.filled,
	})
	if err != nil {
		return nil, errors.Join(locked(advise(opt.Dir, err)), dir.Close())
	}
	if err := s.files.note(opt.Dir); err != nil {
		return nil, errors.Join(err, s.node.Close(), dir.Close())
	}
	if doc := s.node.Ring(); doc != nil {
		s.saw(doc)
	}
	opt.Transport.Handle(opt.Urgent, s.take)
	opt.Transport.Handle(opt.Bulk, s.take)
	s.stops.Go(s.steward)
	s.stops.Go(s.learnIdentity)
	return s, nil
}

// locked says the error of a directory as package store does.
func locked(err error) error {
	switch {
	case errors.Is(err, replication.ErrLocked):
		return fmt.Errorf("%w: %w", store.ErrLocked, err)
	case errors.Is(err, replication.ErrForeignDir):
		return fmt.Errorf("%w: %w", store.ErrForeign, err)
	case errors.Is(err, replication.ErrNewerFormat):
		return fmt.Errorf("%w: %w", store.ErrNewerFormat, err)
	}
	return err
}

// ID is the UUID of this server's data, "" once it has left. The others have to be told it
// with Server.Store: a server whose data was lost is another one.
func (s *Store) ID() string {
	if s.left.Load() {
		return ""
	}
	return s.dir.Store()
}

// Founded reports whether this store has made its cluster since it was opened.
func (s *Store) Founded() bool { return s.founded.Load() }

// Ready waits until the store knows what it is, for which it has to reach the cluster. Before, Secret
// is nil. Errors: those of ctx, store.ErrClosed, ErrLeft, store.ErrForeign for another domain's data.
func (s *Store) Ready(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case err := <-s.failed:
		s.fail(err)
		return err
	case <-s.quit:
		return store.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("wait for the cluster that has the data: %w", ctx.Err())
	}
}

// Failed delivers, once, the error after which this server takes no part any more: its disk failed,
// or it has left. Restart the server, or give it an empty data directory.
func (s *Store) Failed() <-chan error { return s.failed }

func (s *Store) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Domain implements store.Store.
func (s *Store) Domain() string { return s.opt.Domain }

// Secret implements store.Store. It is nil before Ready.
func (s *Store) Secret() []byte {
	if id := s.identity.Load(); id != nil {
		return bytes.Clone(id.secret)
	}
	return nil
}

// begin counts an operation until wg.Done; false when the store is closed.
func (s *Store) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

func (s *Store) ended() bool { return s.closing.Load() }

// closeWait is how long Close waits for operations before it calls them off: those of which it is
// not known whether they had effect fail with store.ErrUncertain.
const closeWait = 3 * time.Second

// Close implements store.Store. Operations that can't be finished for want of other servers are
// called off.
func (s *Store) Close() error {
	s.once.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	patience := time.AfterFunc(closeWait, s.callOff)
	s.wg.Wait()
	if patience.Stop() {
		s.callOff()
	}
	s.stops.Wait()
	s.opt.Transport.Handle(s.opt.Urgent, nil)
	s.opt.Transport.Handle(s.opt.Bulk, nil)
	s.held.sweep(never())
	return errors.Join(s.node.Close(), s.dir.Close())
}

func (s *Store) callOff() {
	if !s.closing.Swap(true) {
		close(s.quit)
	}
}

// ServerDown is the hint that a server is gone: what it led is led by others at once, not after
// a time-out, and who waits for its answers asks others. ServerUp is the hint that it is back: who waits for want of servers
// tries again. Between the two nothing is asked of it. Nothing that is acknowledged rests on them.
func (s *Store) ServerDown(name string) {
	s.calls.lose(name)
	s.hint(name, s.node.PeerDown)
}

// ServerUp is described with ServerDown.
func (s *Store) ServerUp(name string) {
	s.calls.find(name)
	s.hint(name, s.node.PeerUp)
	s.lost.forget()
	s.back.ring()
	s.wake()
}

func (s *Store) hint(name string, tell func(member uint64)) {
	if doc := s.ring.Load(); doc != nil && !s.ended() {
		if m, ok := doc.ByJID(jidOf(name)); ok && m.Store != s.ID() {
			tell(m.ID)
		}
	}
}
