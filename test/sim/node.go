package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

const tick = 50 * ms

var errInjected = errors.New("the node crashes during this sync")

// node is a data node: the engine's core, its WAL on a disk in memory, its state
// in a file that is never synced (a crash is closing it without a flush).
type node struct {
	w     *world
	index int
	disk  *wal.MemFS
	dir   string
	store uuid.UUID
	wipes int
	lost  bool  // its disk was wiped: it may never come back as the old member
	heir  *node // that has its address since

	doc    *ring.Document // in its ring file; nil: none
	member uint64         // who it is there; 0: nobody

	up           bool
	life         int // counts starts, so that what an earlier life began is ignored
	skew         int64
	tickLength   int64
	core         *core.Core
	log          *wal.Log
	rec          *wal.Recovered
	state        *state.Store
	bootstrapped bool
	batch        *wal.Batch // at the WAL
	tasks        []*core.Task
	working      bool
	stepping     bool
	full         bool
	doomed       bool // to crash while its next batch is being written
	parts        map[uint32]*state.Partition
	standings    map[uint32]core.Standing // as published
	transfers    *replication.Transfers
	stages       []core.StageJob
	staging      bool
	scrubs       map[*state.Picture]bool // to be read
	pictures     map[uint64]uint32       // held for others: the group of each
}

func (n *node) id() uint64 { return n.member }

// later schedules something that a crash prevents.
func (n *node) later(delay int64, f func()) {
	life := n.life
	n.w.after(delay, func() {
		if n.up && n.life == life {
			f()
		}
	})
}

// start opens the disk and takes up the replicas, as replication.Open does.
func (n *node) start() {
	w := n.w
	n.life++
	w.logf("node %d starts (%d)", n.id(), n.index)
	if err := n.open(); err != nil {
		w.fail("node %d does not start: %w", n.id(), err)
		return
	}
	n.up, n.working, n.stepping, n.batch, n.tasks = true, false, false, nil, nil
	n.doomed = false
	n.skew = w.between(-5*second, 5*second)
	n.tickLength = w.between(tick*8/10, tick*12/10)
	n.later(w.between(0, n.tickLength), n.tick)
	n.later(w.between(0, 500*ms), n.flush)
	n.later(w.between(0, 500*ms), n.gossip)
	n.later(w.between(0, 500*ms), n.drive)
	n.later(w.between(0, 500*ms), n.chores)
	n.step()
}

func (n *node) open() error {
	w := n.w
	var err error
	if err = os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	n.state, err = state.OpenStore(n.stateFile(), state.Options{
		NoSync: true, Faults: w.opt.Faults.State, MaxSessions: 64,
		OnFatal:   func(err error) { w.fail("node %d: state is dead: %w", n.id(), err) },
		OnDamaged: n.onDamaged,
	})
	if err != nil {
		return err
	}
	log, rec, err := wal.Open(n.disk, "wal", n.store, wal.Options{
		SegmentSize: 64 << 10, Inline: true, Rand: newSeeded(w.rng.Uint64(), 'w'), Faults: w.opt.Faults.WAL,
	})
	if err != nil {
		return err
	}
	n.log, n.rec = log, rec
	if mark, err := n.state.LogMark(); err != nil || log.Last() < mark {
		return errors.Join(err, fmt.Errorf("the log ends with record %d, the state was written when it had %d", log.Last(), mark))
	}
	n.state.MarkLog(log.Last)
	w.check.recovered(n, rec)
	forget, err := replication.ForgetRemoved(n.state, rec)
	if err == nil && forget != nil {
		w.check.durable(n, forget)
		err = n.log.Append(forget)
	}
	if err != nil {
		return err
	}
	n.core = core.New(core.Config{
		Member: n.member, Incarnation: uint64(w.now) + 1, KeepEntries: 4, KeepBytes: 8 << 10,
		MaxBatch: 4 << 10, SleepTicks: w.sleepTicks, Faults: w.opt.Faults.Core,
	})
	n.parts, n.standings = make(map[uint32]*state.Partition), make(map[uint32]core.Standing)
	n.newTransfers()
	if n.doc == nil {
		return nil
	}
	n.core.SetRing(n.doc)
	if err := n.takeUp(); err != nil {
		return err
	}
	for id, p := range n.parts {
		if index, _ := p.Applied(); index > 0 {
			cs, err := core.DecodeConf(p.Conf())
			if err != nil {
				return err
			}
			w.check.restored(n, id, cs)
		}
	}
	return nil
}

// crash stops the node; a write under way may reach the disk in part.
func (n *node) crash() {
	w := n.w
	if !n.up {
		return
	}
	w.logf("node %d crashes", n.id())
	n.up = false
	if n.batch != nil && w.chance(0.7) {
		n.disk.Inject(func(o wal.Op, _ string) error {
			if o == wal.OpSync {
				return errInjected
			}
			return nil
		})
		_ = n.log.Append(n.batch) // written, not synced: torn by the crash
	}
	n.disk.Crash(w.rng.Uint64())
	n.close()
	w.after(w.between(20*ms, 3*second), func() {
		if !n.up && !n.lost {
			n.start()
		}
	})
}

// close closes the state without a flush, as a crash does.
func (n *node) close() {
	for v := range n.scrubs {
		v.Close()
	}
	n.transfers.CloseAll()
	if err := n.state.Close(); err != nil {
		n.w.fail("close state: %w", err)
	}
}

// wipe replaces the disk by an empty one. The store's UUID goes with it, unless
// the seeded defect lets the node pass for the old one.
func (n *node) wipe() {
	n.w.count("wiped disk")
	n.crash()
	n.w.logf("disk of node %d is wiped", n.id())
	n.wipes++
	n.disk = wal.NewMemFS()
	n.full = false
	if n.w.opt.Faults.WipedIsOld {
		n.bootstrapped = false
		n.w.check.forget(n)
		return
	}
	n.lost = true
	if _, err := core.MemberOf(n.doc, newUUID(n.w).String()); !errors.Is(err, core.ErrStranger) {
		n.w.fail("a wiped disk is taken for member %d", n.id())
	}
}

func (n *node) tick() {
	n.core.Tick()
	n.step()
	n.later(n.tickLength, n.tick)
}

func (n *node) flush() {
	if n.state.Dirty() > 0 {
		n.flushState()
	}
	n.sweep()
	n.later(n.w.between(50*ms, 800*ms), n.flush)
}

func (n *node) flushState() {
	if err := n.state.Flush(); err != nil {
		n.w.fail("node %d: flush: %w", n.id(), err)
		return
	}
	durable := make(map[uint32]uint64)
	tombs, err := n.state.Removed()
	if err != nil {
		n.w.fail("node %d: %w", n.id(), err)
	}
	for id, t := range tombs {
		durable[id] = t.Index
	}
	for id, p := range n.parts {
		durable[id] = p.Durable()
		if index, _ := p.Applied(); index > 0 {
			n.w.check.flushed(n, id, p.Durable())
		}
	}
	if err := n.log.Release(durable); err != nil {
		n.w.fail("node %d: release: %w", n.id(), err)
	}
}

// step lets the core work a moment later, so that inputs gather.
func (n *node) step() {
	if n.stepping {
		return
	}
	n.stepping = true
	n.later(n.w.between(0, 200), func() {
		n.stepping = false
		n.carryOut(n.core.Advance())
	})
}

func (n *node) carryOut(r *core.Round) {
	w := n.w
	if w.opt.Faults.PublishedLate {
		changed := slices.Clone(r.Standings)
		n.later(w.between(0, 100*ms), func() { n.publish(changed) })
	} else {
		n.publish(r.Standings)
	}
	for _, s := range r.Sends {
		if s.Bulk.Kind != 0 {
			w.sendBulk(n, s)
		} else {
			w.send(n, s.To, s.Batch)
		}
	}
	if r.WAL != nil {
		n.batch = r.WAL
		delay := w.between(100, 5*ms)
		if n.doomed {
			n.later(delay/2, n.crash)
		}
		n.later(delay, n.append)
	}
	for i := range r.Tasks {
		t := r.Tasks[i]
		w.check.committed(n, &t)
		n.tasks = append(n.tasks, &t)
	}
	n.work()
	n.snapshotJobs(r)
	n.scrubResults(r)
	if !n.up {
		return // it crashed on the way
	}
	for _, read := range r.Reads {
		n.later(w.between(0, ms), func() {
			if part := n.parts[read.Group]; part != nil {
				read.Done(part.Read(read.Read))
			} else {
				read.Done(op.ReadResult{Code: op.Redirect})
			}
		})
	}
	for _, rm := range r.Removals {
		n.remove(rm)
	}
	for _, l := range r.Leaders {
		w.check.leads(n, l)
	}
	w.check.led(n, r)
	for _, answer := range r.Answers {
		answer()
	}
}

// append makes the batch at the WAL durable; for want of room it tries again.
func (n *node) append() {
	err := n.log.Append(n.batch)
	if errors.Is(err, wal.ErrFull) {
		n.setFull(true)
		n.later(250*ms, n.append)
		return
	}
	if err != nil {
		n.w.fail("node %d: append: %w", n.id(), err)
		return
	}
	n.setFull(false)
	n.w.check.durable(n, n.batch)
	n.batch = nil
	n.core.WALDone()
	n.step()
}

func (n *node) setFull(full bool) {
	if n.full != full {
		n.full = full
		n.w.logf("node %d full: %v", n.id(), full)
		n.core.SetFull(full)
	}
}

// work runs tasks one after the other.
func (n *node) work() {
	if n.working || len(n.tasks) == 0 {
		return
	}
	n.working = true
	delay := n.w.between(0, 3*ms)
	if n.tasks[0].Restore != nil {
		delay = n.w.between(0, 60*ms) // a large transaction: much happens meanwhile
	}
	n.later(delay, func() {
		t := n.tasks[0]
		n.tasks = n.tasks[1:]
		if n.run(t); !n.up {
			return // it crashed on the way
		}
		n.working = false
		n.work()
		n.step()
	})
}

func (n *node) run(t *core.Task) {
	part := n.parts[t.Group]
	if t.Repair && n.stumble() {
		return
	}
	if t.Restore != nil {
		meta := t.Restore.GetMetadata()
		n.w.logf("node %d restores group %d at %d", n.id(), t.Group, meta.GetIndex())
		before, _ := part.Applied()
		if err := part.Restore(t.Restore.GetData(), meta.GetIndex(), meta.GetTerm(), core.EncodeConf(meta.GetConfState())); err != nil {
			n.w.fail("node %d: restore: %w", n.id(), err)
			return
		}
		if now, _ := part.Applied(); now < before {
			n.w.fail("group %d: node %d goes back from %d to %d", t.Group, n.id(), before, now)
		}
		n.w.check.flushed(n, t.Group, meta.GetIndex())
		n.w.check.restored(n, t.Group, meta.GetConfState())
		if n.replaced(t, part); t.Repair && n.stumble() {
			return
		}
		n.core.Restored(t)
	} else {
		for i, e := range t.Entries {
			if t.Confs != nil && t.Confs[i] != nil {
				part.SetConf(e.GetIndex(), e.GetTerm(), t.Confs[i])
				continue
			}
			before, _ := part.Applied()
			res := part.Apply(e.GetIndex(), e.GetTerm(), e.GetData())
			now, _ := part.Applied()
			if now < before {
				n.w.fail("group %d: node %d goes back from %d to %d", t.Group, n.id(), before, now)
			}
			if before < e.GetIndex() && now == e.GetIndex() { // and else it had that, or is damaged
				key := entryKey{t.Group, e.GetIndex()}
				if why := n.w.check.once.done(key, e.GetData(), res); why != "" {
					n.w.fail("group %d, index %d, node %d: %s", key.group, key.index, n.id(), why)
				}
			}
			if t.Dones != nil && t.Dones[i] != nil {
				if at, _ := part.Applied(); at >= e.GetIndex() {
					n.w.acked[t.Group] = n.w.acked[t.Group].note(n.w.now, e.GetIndex())
				}
				t.Dones[i](res)
				t.Dones[i] = nil // a task of a damaged state comes again
			}
		}
		if v := part.TakeScrub(); v != nil {
			n.digestScrub(t.Group, v)
		}
		if n.undone(t) {
			return
		}
		n.core.Applied(t)
	}
	n.w.check.applied(n, part)
	if t.Group == ring.MetaPartition {
		n.noticeRing()
	}
}

// propose and read are what arrives from clients.
func (n *node) propose(group uint32, w *op.Write, done func(op.WriteResult)) {
	now := n.clock()
	var cmd []byte
	if w == nil {
		cmd = state.EncodeOpen(nil, now, "app@example.org")
	} else {
		cmd = state.EncodeWrite(nil, now, state.OwnerOf("app@example.org"), w)
		n.w.check.once.proposed(group, cmd, w)
	}
	n.core.Propose([]core.Proposal{{Group: group, Cmd: cmd, Done: done}})
	n.step()
}

func (n *node) read(group uint32, r *op.Read, done func(op.ReadResult)) {
	n.core.Read([]core.ReadRequest{{Group: group, Read: r, Done: done}})
	n.step()
}

// clock is the node's time of day, in milliseconds.
func (n *node) clock() int64 { return time.UnixMicro(n.w.now + n.skew).Add(time.Hour).UnixMilli() }

// leaderOf is the hint a node gives with a redirect; 0: none.
func (n *node) leaderOf(group uint32) uint64 {
	for _, g := range n.core.Groups() {
		if g.Group == group {
			return g.Leader
		}
	}
	return raft.None
}

// newNode is a node with an empty disk; a member only when a document names it.
func (w *world) newNode(i int) *node {
	return &node{w: w, index: i, disk: wal.NewMemFS(), dir: filepath.Join(w.opt.Dir, fmt.Sprint(i)), store: newUUID(w)}
}

// byMember finds the node that is a member; nil if it does not know that yet.
func (w *world) byMember(id uint64) *node {
	for _, n := range w.nodes {
		if n.member == id && id != 0 {
			return n
		}
	}
	return nil
}
