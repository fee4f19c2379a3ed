package datanode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// engine is what a node needs of replication.Node.
type engine interface {
	Reconcile(doc *ring.Document) error
	Receive(from uint64, batch []byte)
	ProposeBatch(ps []replication.Proposal)
	ProposeRing(ctx context.Context, expectEpoch uint64, doc *ring.Document) error
	Read(reads []replication.ReadRequest)
	ReadConfirmedBy(member uint64, group uint32, r *op.Read) (res op.ReadResult, term uint64)
	Term(group uint32) uint64
	LeaderOf(group uint32) (member uint64, ok bool)
	SessionOwner(group uint32, session op.Session) (owner string, ok bool)
	OpenWait(group uint32, owner string, now int64) (ms int64)
	Forget(owner uint64)
	Cancel(owner uint64, tags []uint64)
	LogTime() int64
	CutAt(group uint32, t int64, take func(*state.Picture, error)) error
	PeerDown(member uint64)
	PeerUp(member uint64)
	Status() replication.Status
	Mixed() bool
	Scrub(groups ...uint32) int
	ScrubState(groups ...uint32) replication.ScrubState
	SetLow(low bool)
	Groups() []replication.GroupStatus
	ReadyIndexes() map[uint32]int
	Close() error
}

// Node is a data node. Make it with Open.
type Node struct {
	cfg     Config
	roles   roles
	jid     stanza.JID // full
	full    string     // jid as text
	store   string     // UUID of the data directory
	log     *slog.Logger
	started time.Time

	dir       *replication.Dir
	engine    engine
	endEngine sync.Once
	engineErr error // of closing it
	disk      disk
	fair      fair
	clock     logClock
	counts    counts
	hot       hot
	exports   exports
	refusals  refusals
	oddTimes  quiet // log lines

	view    atomic.Pointer[view] // nil: no ring document yet
	streams streams
	iqs     xmppconn.IQs

	answers   answers
	announcer announcer
	pacer     pacer
	tasks     chan func(context.Context) // for the control goroutine
	untold    []untold                   // of the control goroutine
	proposing sync.WaitGroup             // operators' documents on their way
	wanted    atomic.Uint64              // newest epoch a member announced
	fetch     func(ctx context.Context, jid string) (*ring.Document, error)
	contacts  func(ctx context.Context) ([]string, error)
	sighted   chan struct{} // somebody tells of a cluster, while in none
	fatal     chan error    // the engine's end

	stranger  atomic.Pointer[string] // why this store is not what the ring knows under its JID
	stopping  atomic.Bool
	buffers   buffers
	batches   buffers       // for what peers send
	values    buffers       // for the values of clients' requests
	commands  commands      // for what is proposed of them
	fragments atomic.Uint64 // numbers what is sent in parts

	operations atomic.Uint64 // received since the start
	inFlight   atomic.Int64  // not answered yet
	clients    atomic.Int64  // in the read loop's cache
	clientIDs  atomic.Uint64
	watches    atomic.Int64 // reads of changes that wait

	faults faults
}

// faults are seeded by tests of this package, which must then turn red.
type faults struct {
	AnswersAhead     bool // answers are put before what is urgent, all of a client's at once
	ReadLoopWaits    bool // the read loop waits for large stanzas of clients to be read
	IndexesFree      bool // a write counts for no more because of the entries that it makes in indexes
	AnswersUnbounded bool // results of reads are held without bounds
	AnyStore         bool // takes Raft batches of a wiped disk
	NoAccess         bool // grants everything to everybody
	AnyMember        bool // tells its terms for whatever member it is taken
	// ReceiptOnArrival acknowledges requests when they come, not when they are durable.
	ReceiptOnArrival bool
	// TwinIgnored lets a second data node throw out the first.
	TwinIgnored bool
	// OneStreamIsAll takes a member that has lost one of two streams for gone.
	OneStreamIsAll bool
	// ValuesReused decodes a message's later requests into the memory of the earlier ones.
	ValuesReused bool
	// ChangesPass lets reads of changes go on to the engine out of turn.
	ChangesPass bool
	// GapsAreMistakes takes a request of which parts were refused for one that is malformed.
	GapsAreMistakes bool
	// DeniesBlindly refuses who has no rights here even where the node knows of none.
	DeniesBlindly bool
	// OneLine has all accounts share one line a time about what is refused.
	OneLine bool
	// ForbiddenAsStanza counts whole stanzas of strangers as what is malformed.
	ForbiddenAsStanza bool
}

// Run is the life of a data node: it opens the data directory, serves until ctx
// ends or something fails that cannot be mended by waiting, and closes it.
func Run(ctx context.Context, cfg Config) error {
	n, err := Open(cfg)
	if err != nil {
		return err
	}
	return errors.Join(n.Serve(ctx), n.Close())
}

// Open locks and recovers the data directory and starts the replicas in it.
// Errors: ErrConfig; replication's ErrForeignDir, ErrNewerFormat, ErrLocked; or
// what is wrong with the disk.
func Open(cfg Config) (*Node, error) {
	roles, jid, err := cfg.check()
	if err != nil {
		return nil, err
	}
	dir, err := replication.OpenDir(cfg.Dir)
	if err != nil {
		return nil, err // it says what was tried
	}
	if len(roles.operators) == 0 {
		cfg.Logger.Warn("no operator is named, so nobody may take this data node into a ring or ask it for its status: name one (--operator)", "jid", jid.String())
	}
	n := &Node{
		cfg: cfg, roles: roles, jid: jid, full: jid.String(), store: dir.Store(), dir: dir,
		started: time.Now(),
		tasks:   make(chan func(context.Context), 64),
		sighted: make(chan struct{}, 1),
		fatal:   make(chan error, 1),
	}
	n.log = cfg.Logger.With("jid", n.full)
	n.disk = disk{dir: cfg.Dir, space: cfg.DiskSpace, wanted: cfg.DiskReserve}
	n.fetch, n.contacts = n.fetchRing, n.fetchContacts
	n.refusals.init(n.log, &n.faults)
	n.hot.init(n.started)
	n.exports.init(n)
	n.answers.init(n)
	n.announcer.init(n)
	n.pacer.init(transport{n}.open, transport{n}.sendPart, xmppconn.ErrOverflow)
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) open() error {
	if err := n.disk.look(); err != nil {
		return err
	}
	engine := replication.Config{
		Dir: n.dir, Transport: transport{n}, Copied: true, Free: n.batches.put, Spent: n.commands.put, Logger: n.log, Tick: n.cfg.Tick,
		// The node's own reserve comes first where it is the larger.
		DiskReserve: min(n.disk.reserve.Load(), 64<<20),
		ScrubEvery:  n.cfg.ScrubEvery,
		Clock:       func() int64 { return n.clock.stamp(time.Now().UnixMilli()) },
		OnLeader:    func(uint32, uint64) { n.announcer.poke() },
		OnRing:      n.onRing,
		OnFull: func(full bool) {
			n.disk.engine.Store(full)
			n.announcer.poke()
		},
		OnFatal: func(err error) {
			select {
			case n.fatal <- err:
			default:
			}
		},
	}
	if n.cfg.Engine != nil {
		n.cfg.Engine(&engine)
	}
	recovered, err := replication.Open(engine)
	if err != nil {
		return fmt.Errorf("recover data directory %s: %w", n.cfg.Dir, err)
	}
	n.engine = recovered
	n.fair.init(recovered, n.flooded)
	doc := recovered.Ring()
	if doc == nil {
		n.log.Info("new store, waiting to be taken into a ring: by ringctl join, or by ringctl bootstrap where there is no ring yet", "store", n.store)
		return nil
	}
	if err := n.checkOwnJID(doc); err != nil {
		return err
	}
	return n.publish(doc)
}

// checkOwnJID refuses a data directory that was another account's.
func (n *Node) checkOwnJID(doc *ring.Document) error {
	for _, m := range doc.Members {
		if m.Store == n.store && m.JID != n.full {
			return fmt.Errorf("%w: %s is the data directory of %s, not of %s; start it with that account, or name another directory", ErrConfig, n.cfg.Dir, m.JID, n.full)
		}
	}
	return nil
}

// Serve logs in and serves until ctx ends, which is no error, or the server
// refuses the account (xmppconn.ErrAuth, ErrPolicy, ErrReplaced), another data
// node has it (ErrTwin), or the disk fails. Call it once. The engine is closed when it returns.
func (n *Node) Serve(ctx context.Context) error {
	if err := n.awaitTwinCheck(ctx); err != nil || ctx.Err() != nil {
		return errors.Join(err, n.closeEngine())
	}
	stream, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	loops, stopLoops := context.WithCancel(stream)
	defer stopLoops()

	metrics, err := n.listenMetrics()
	if err != nil {
		return err
	}
	var answering, working sync.WaitGroup
	if metrics != nil {
		working.Go(func() { n.serveMetrics(loops, metrics) })
	}
	answering.Go(n.answers.run)
	working.Go(func() { n.pacer.run(loops) })
	working.Go(func() { n.controlLoop(loops) })
	working.Go(func() { n.lookLoop(loops) })
	working.Go(func() { n.announcer.run(loops) })
	working.Go(func() { n.fair.run(loops) })
	working.Go(func() { n.exports.run(loops) })
	ended := make(chan error, 1)
	go func() {
		h, other := newHandler(n, 0), newHandler(n, 1)
		h.parts.start()
		other.parts.start()
		err := xmppconn.RunPair(stream, n.cfg.XMPP, wire.SecondResource, h, other)
		h.parts.end()
		other.parts.end()
		ended <- err
	}()

	streaming := true
	select {
	case <-ctx.Done():
	case err = <-n.fatal:
		err = fmt.Errorf("data node stopped: %w", err)
	case err = <-ended:
		streaming = false
	}
	// The others learn first that this node goes, then get its leaderships over
	// the stream that is still up, then its last answers.
	n.stopping.Store(true)
	n.announcer.announce(true)
	stopLoops()
	working.Wait()
	err = errors.Join(err, n.closeEngine())
	n.proposing.Wait()
	n.answers.stop()
	answering.Wait()
	hangUp()
	if streaming {
		err = errors.Join(err, <-ended)
	}
	return err
}

func (n *Node) closeEngine() error {
	n.endEngine.Do(func() {
		if n.engine != nil {
			n.engineErr = n.engine.Close()
		}
	})
	return n.engineErr
}

// Close closes the engine and releases the data directory. Serve must have
// returned, or never been called.
func (n *Node) Close() error {
	return errors.Join(n.closeEngine(), n.dir.Close())
}

// Store is the UUID of the data directory.
func (n *Node) Store() string { return n.store }

// JID is the node's full JID, of its first stream.
func (n *Node) JID() string { return n.full }

// addresses are the node's, by stream.
func (n *Node) addresses() [2]string { return [2]string{n.full, wire.SecondJID(n.full)} }
