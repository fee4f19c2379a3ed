package core

import (
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

const (
	defaultElectionTick  = 10
	defaultHeartbeatTick = 2
	defaultSleepTicks    = 20
	defaultPeerTicks     = 5
	defaultSilentTicks   = 20
	defaultMaxBatch      = 128 << 10
	defaultMaxPending    = 128 << 20
	defaultMaxLog        = 256 << 20
	defaultKeepEntries   = 1024
	defaultKeepBytes     = 1 << 20
	defaultMaxMoves      = 4

	// maxReads bounds the reads that wait, all groups together.
	maxReads = 1 << 17
)

func (c Config) withDefaults() Config {
	setDefault(&c.ElectionTick, defaultElectionTick)
	setDefault(&c.HeartbeatTick, defaultHeartbeatTick)
	setDefault(&c.SleepTicks, defaultSleepTicks)
	setDefault(&c.PeerTicks, defaultPeerTicks)
	setDefault(&c.SilentTicks, defaultSilentTicks)
	setDefault(&c.MaxBatch, defaultMaxBatch)
	setDefault(&c.MaxPending, int64(defaultMaxPending))
	setDefault(&c.MaxLog, int64(defaultMaxLog))
	setDefault(&c.KeepEntries, defaultKeepEntries)
	setDefault(&c.KeepBytes, int64(defaultKeepBytes))
	setDefault(&c.MaxMoves, defaultMaxMoves)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T int | int64](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Core is the engine of one node. It is not safe for concurrent use.
type Core struct {
	cfg    Config
	logger raft.Logger
	now    uint64 // ticks since the start

	groups map[uint32]*group
	list   []*group // the same, by number
	awake  []*group // those that tick
	dirty  []*group // those that may have work, each once
	spare  []*group // storage of dirty, to swap with
	peers  []*peer  // by id

	wal       walQueue
	due       []afterAppend // what need not wait for the WAL
	queued    []*group      // with proposals that may wait for the end of an fsync
	rounds    int           // of proposals since the last fsync began
	proposing bool          // in this step
	pending   int64         // bytes of proposals not yet answered
	waiting   int           // reads not yet handed out
	clock     int64         // the latest ReadRequest.Now: at or before the present
	asking    []*group      // followers here that have Stale reads to confirm
	logBytes  int64
	pictures  uint64   // number of the last picture
	pictured  []*group // that have one
	pulls     uint64   // number of the last pull
	pulling   []*group // that pull a snapshot
	repairing []*group

	doc       *ring.Document  // the newest known; nil: none
	leavers   map[uint64]bool // members that leave
	movers    []*group        // led here, and not where they should be
	strays    []*group        // that the document does not name here
	questions uint64          // the last question asked for one
	reports   map[uint32]ring.Report
	reporting int // place in list of the group last looked at to be reported

	full     bool // proposals are refused
	low      bool // not full, but nearly so: others should lead
	stopping bool

	proposed []*pb.Entry    // given to raft again and again, see stepProposals
	proposal pb.MessageType // MsgProp

	next, last *Round
	free       [][]byte // memory for batches: see Recycle
}

// New makes a Core without groups.
func New(cfg Config) *Core {
	cfg = cfg.withDefaults()
	c := &Core{
		cfg:     cfg,
		logger:  raftLogger{cfg.Logger},
		groups:  make(map[uint32]*group),
		leavers: make(map[uint64]bool),
		reports: make(map[uint32]ring.Report),
		wal:     newWALQueue(),
		next:    &Round{},
		last:    &Round{},

		proposal: pb.MsgProp,
	}
	// Answers to what was asked before a restart must not fit.
	var start [8]byte
	_, _ = rand.Read(start[:]) // never fails
	c.questions = binary.LittleEndian.Uint64(start[:])
	return c
}

// SetMember tells the node's Raft id when it becomes known, before the first Add.
func (c *Core) SetMember(id uint64) { c.cfg.Member = id }

// Advance works off what the inputs set in motion.
func (c *Core) Advance() *Round {
	c.proposing = false
	for len(c.dirty) > 0 || len(c.due) > 0 {
		c.passDue()
		todo := c.dirty
		c.dirty = c.spare[:0]
		for _, g := range todo {
			g.dirty = false
			c.work(g)
		}
		c.spare = todo
		c.takeWAL()
	}
	c.takeWAL()
	if c.proposing {
		c.rounds++
	}
	for _, p := range c.peers {
		if p.urgent || c.now > p.opened {
			c.flushPeer(p)
		}
	}
	c.next, c.last = c.last, c.next
	c.next.reset()
	return c.last
}

func (c *Core) work(g *group) {
	c.drain(g)
	proposed, asked := c.proposeQueue(g), c.askReads(g)
	if proposed || asked {
		c.drain(g)
	}
}

func (c *Core) mark(g *group) {
	if !g.dirty {
		g.dirty = true
		c.dirty = append(c.dirty, g)
	}
}

func (c *Core) answer(f func()) { c.next.Answers = append(c.next.Answers, f) }

func (c *Core) answerWrite(done func(op.WriteResult), res op.WriteResult) {
	c.answer(func() { done(res) })
}

func (c *Core) answerRead(done func(op.ReadResult), res op.ReadResult) {
	c.answer(func() { done(res) })
}

// Tick moves the logical clock by one: groups that are awake tick, peers are
// told that this node lives, those silent for too long count as down.
func (c *Core) Tick() {
	c.now++
	for i := 0; i < len(c.awake); {
		g := c.awake[i]
		g.rn.Tick()
		c.mark(g)
		c.tickGroup(g)
		if g.asleep {
			c.awake[i] = c.awake[len(c.awake)-1]
			c.awake = c.awake[:len(c.awake)-1]
			continue
		}
		i++
	}
	for _, p := range c.peers {
		c.tickPeer(p)
	}
	c.wal.urgent = c.wal.urgent || len(c.wal.after) > 0
	c.tickPictures()
	c.tickPulls()
	c.tickRepairs()
	c.tickStale()
	c.tickFitness()
	c.tickMoves()
	c.tickStrays()
	c.tickReports()
	if c.now%placementTicks == 0 {
		c.place()
	}
}

// Stop refuses new work and asks peers to take over the groups led here. Call
// Tick and Advance on until Leaving is 0 or patience ends, then Abandon.
func (c *Core) Stop() {
	c.stopping = true
	c.place()
}

// Abandon answers everything that is still open: what was proposed with Retry
// (unknown), what was not with Unavailable. The Core must not be used after the
// next Advance.
func (c *Core) Abandon() {
	c.stopping = true
	for _, g := range c.list {
		c.refuseAll(g)
	}
}

// Leaving is the number of groups led here that another replica could take over.
func (c *Core) Leaving() int {
	n := 0
	for _, g := range c.list {
		if g.state == raft.StateLeader && c.heir(g) != 0 {
			n++
		}
	}
	return n
}

func (c *Core) insert(g *group) {
	c.groups[g.id] = g
	i, _ := slices.BinarySearchFunc(c.list, g.id, func(a *group, id uint32) int {
		switch {
		case a.id < id:
			return -1
		case a.id > id:
			return 1
		}
		return 0
	})
	c.list = slices.Insert(c.list, i, g)
}
