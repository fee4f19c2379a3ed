package core

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/replication/wal"
)

// walQueue gathers what all groups have to make durable. One batch is at the
// WAL, the next gathers meanwhile: that is group commit.
type walQueue struct {
	seq      uint64 // number of the gathering batch
	batch    *wal.Batch
	after    []afterAppend
	urgent   bool // somebody waits for it; commit positions and patient appends wait for company
	bytes    int  // of entries in the gathering batch
	busy     bool // a batch is at the WAL
	inFlight *wal.Batch
	inAfter  []afterAppend
	waiting  []*group // whose snapshot record must not share the gathering batch
}

// afterAppend is what follows when a batch is durable: a group's messages, or
// its start.
type afterAppend struct {
	g     *group // nil: only do
	msgs  []*pb.Message
	start bool
	do    func()
}

// walMark remembers what of a group is in which batch.
type walMark struct {
	seq     uint64 // the batch that entries and state are about
	entries bool
	state   int // place of the group's hard state, plus one

	news       uint64 // last batch with something that a promise may rest on
	term, vote uint64 // as last put into a batch
}

// durable is the number of the last batch that is durable.
func (q *walQueue) durable() uint64 {
	if q.busy {
		return q.seq - 2
	}
	return q.seq - 1
}

func newWALQueue() walQueue {
	return walQueue{seq: 1, batch: &wal.Batch{}, inFlight: &wal.Batch{}}
}

// storeAppend takes a MsgStorageAppend. They are made durable in order; one with
// a snapshot waits, and makes those behind it wait, until the state is restored.
func (c *Core) storeAppend(g *group, m *pb.Message) {
	if snap := m.GetSnapshot(); !raft.IsEmptySnap(snap) {
		g.log.reset(snap.GetMetadata().GetIndex(), snap.GetMetadata().GetTerm())
		c.setConf(g, snap.GetMetadata().GetConfState())
	}
	g.log.append(m.GetEntries())
	if len(g.held) == 0 && raft.IsEmptySnap(m.GetSnapshot()) {
		c.gather(g, m)
		return
	}
	g.held = append(g.held, m)
	c.pump(g)
}

// pump moves held appends on as far as they may go. A crash between the durable
// restore and the WAL's record of it is mended by Add: the state's position wins.
func (c *Core) pump(g *group) {
	for len(g.held) > 0 && !g.restoring {
		m := g.held[0]
		snap := m.GetSnapshot()
		if !raft.IsEmptySnap(snap) {
			if !g.restored {
				g.restoring = true
				g.tasks++
				c.next.Tasks = append(c.next.Tasks, Task{Group: g.id, Restore: snap})
				return
			}
			// In a WAL batch snapshots take effect before entries, but entries of
			// this group already gathered belong before the snapshot.
			if g.batch.seq == c.wal.seq && g.batch.entries {
				c.wal.waiting = append(c.wal.waiting, g)
				return
			}
			c.wal.batch.Snapshots = append(c.wal.batch.Snapshots, wal.Snapshot{
				Group: g.id, Index: snap.GetMetadata().GetIndex(), Term: snap.GetMetadata().GetTerm(),
			})
			g.restored = false
		}
		g.held[0] = nil
		g.held = g.held[1:]
		c.gather(g, m)
	}
}

// Restored reports that a Task with Restore is done, durably.
func (c *Core) Restored(t *Task) {
	g := c.groups[t.Group]
	g.tasks--
	defer c.healthy(g)
	if t.Repair {
		return // Raft knows nothing of it
	}
	g.applied = t.Restore.GetMetadata().GetIndex()
	g.restoring, g.restored = false, true
	c.pump(g)
	c.mark(g)
}

// gather puts an append into the next WAL batch. Its responses wait for it, but
// where it only moves the commit position they rest on nothing new: they wait for
// what the group wrote before, and need no fsync of their own. Followers hear of
// a commit with an append that is otherwise empty, so this halves their fsyncs.
func (c *Core) gather(g *group, m *pb.Message) {
	q := &c.wal
	news := !raft.IsEmptySnap(m.GetSnapshot()) || len(m.GetEntries()) > 0
	g.batch.begin(q.seq)
	for _, e := range m.GetEntries() {
		q.batch.Entries = append(q.batch.Entries, wal.Entry{
			Group: g.id, Index: e.GetIndex(), Term: e.GetTerm(), Type: uint8(e.GetType()), Data: e.GetData(),
		})
		g.batch.entries = true
		q.bytes += len(e.GetData())
	}
	if m.Term != nil {
		news = news || m.GetTerm() != g.batch.term || m.GetVote() != g.batch.vote
		c.gatherState(g, wal.HardState{Group: g.id, Term: m.GetTerm(), Vote: m.GetVote(), Commit: m.GetCommit()})
	}
	if news {
		g.batch.news = q.seq
	}
	if len(m.GetResponses()) == 0 {
		return
	}
	a := afterAppend{g: g, msgs: m.GetResponses()}
	switch {
	case g.batch.news <= q.durable():
		c.due = append(c.due, a)
	case g.batch.news < q.seq:
		q.inAfter = append(q.inAfter, a)
	default:
		q.after = append(q.after, a)
		q.urgent = q.urgent || q.bytes > patientBytes || !g.mayWait(a.msgs)
	}
}

func (m *walMark) begin(seq uint64) {
	if m.seq != seq {
		m.seq, m.entries, m.state = seq, false, 0
	}
}

func (c *Core) gatherState(g *group, hs wal.HardState) {
	g.batch.begin(c.wal.seq)
	g.batch.term, g.batch.vote = hs.Term, hs.Vote
	if c.cfg.Faults.PromiseForgotten {
		hs.Vote = 0
	}
	if g.batch.state > 0 {
		c.wal.batch.States[g.batch.state-1] = hs
		return
	}
	c.wal.batch.States = append(c.wal.batch.States, hs)
	g.batch.state = len(c.wal.batch.States)
}

// WhenDurable calls f, from within WALDone, when everything added so far is durable.
func (c *Core) WhenDurable(f func()) {
	c.wal.after = append(c.wal.after, afterAppend{do: f})
	c.wal.urgent = true
}

// takeWAL hands the gathered batch out if the WAL is free and somebody waits.
func (c *Core) takeWAL() {
	q := &c.wal
	if q.busy || !q.urgent {
		return
	}
	q.busy, q.urgent, q.bytes = true, false, 0
	c.rounds = -1 // the one that filled this batch does not count
	q.seq++
	q.batch, q.inFlight = q.inFlight, q.batch
	q.after, q.inAfter = q.inAfter[:0], q.after
	c.next.WAL = q.inFlight
	if c.cfg.Faults.AckBeforeFsync {
		c.deliver()
	}
	waiting := q.waiting
	q.waiting = nil
	for _, g := range waiting {
		c.pump(g)
		c.mark(g)
	}
}

// WALDone reports that Round.WAL is durable.
func (c *Core) WALDone() {
	c.deliver()
	q := &c.wal
	q.busy = false
	for i, g := range c.queued {
		c.mark(g)
		c.queued[i] = nil
	}
	c.queued = c.queued[:0]
	clear(q.inFlight.Entries)
	q.inFlight.Entries = q.inFlight.Entries[:0]
	q.inFlight.States = q.inFlight.States[:0]
	q.inFlight.Snapshots = q.inFlight.Snapshots[:0]
}

// deliver passes on what waited for the batch at the WAL.
func (c *Core) deliver() {
	after := c.wal.inAfter
	for i := range after {
		c.pass(&after[i])
		after[i] = afterAppend{}
	}
	c.wal.inAfter = after[:0]
}

func (c *Core) pass(a *afterAppend) {
	if a.do != nil {
		a.do()
		return
	}
	if a.start {
		c.start(a.g)
	}
	for _, m := range a.msgs {
		if m.GetTo() == c.cfg.Member {
			// Steps of a group to itself fail only if they are outdated.
			_ = a.g.rn.Step(m)
			continue
		}
		if !a.g.gone {
			c.send(a.g, m)
		}
	}
	c.mark(a.g)
}

// passDue passes on what has nothing to wait for.
func (c *Core) passDue() {
	due := c.due
	c.due = nil
	for i := range due {
		c.pass(&due[i])
		due[i] = afterAppend{}
	}
	if c.due == nil {
		c.due = due[:0]
	}
}
