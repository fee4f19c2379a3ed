package sim

import (
	"bytes"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/wal"
)

// checker holds what the engine has promised so far, kept outside of it, and
// compares each step with it:
//
//   - what is committed is durable on a majority of the disks, of a joint
//     configuration on one of each half;
//   - configurations follow one another by the rules: one replica is replaced at
//     a time, jointly;
//   - who leads is a voter by all it knows;
//   - an index of a group holds the same bytes on all replicas, for ever;
//   - terms never fall, a vote is never changed within a term;
//   - a term has one leader;
//   - after a crash the WAL gives back what was durable, and nothing that was
//     never written;
//   - a write changes the state once, however often it comes, and floors never fall (once.go);
//   - replicas at the same applied index hold the same state, also after a repair;
//   - no replica applies an entry twice, and none answers from a state that is known
//     to be damaged (witness.go); who is to repair its state is wrong (scrub.go).
type checker struct {
	w       *world
	disks   map[diskKey]*mirror
	entries map[entryKey]entryBytes
	leaders map[termKey]uint64
	digests map[entryKey]uint64
	confs   map[uint32]confs
	own     map[diskKey]*pb.ConfState // the configuration that a node has of a group
	seen    map[uint32]uint64         // the highest index that was about to be applied
	once    once
}

type diskKey struct {
	node  int
	group uint32
}

type entryKey struct {
	group uint32
	index uint64
}

type termKey struct {
	group uint32
	term  uint64
}

type entryBytes struct {
	term uint64
	data []byte
}

// mirror is what must be on a node's disk of a group.
type mirror struct {
	hard    wal.HardState
	start   uint64 // what is up to here is in the state
	last    uint64
	entries map[uint64]entryBytes
	removed bool // the state is deleted; what the WAL has counts for nothing
}

func newChecker(w *world) checker {
	return checker{
		w:       w,
		disks:   make(map[diskKey]*mirror),
		entries: make(map[entryKey]entryBytes),
		leaders: make(map[termKey]uint64),
		digests: make(map[entryKey]uint64),
		confs:   make(map[uint32]confs),
		own:     make(map[diskKey]*pb.ConfState),
		seen:    make(map[uint32]uint64),
		once:    newOnce(),
	}
}

func (c *checker) mirror(n *node, group uint32) *mirror {
	key := diskKey{n.index, group}
	m := c.disks[key]
	if m == nil {
		m = &mirror{entries: make(map[uint64]entryBytes)}
		if slices.Contains(c.w.first.Group(group), n.member) {
			m.start, m.last = core.FirstIndex, core.FirstIndex
		}
		c.disks[key] = m
	}
	return m
}

// forget drops what was known of a node's disk.
func (c *checker) forget(n *node) {
	for key := range c.disks {
		if key.node == n.index {
			delete(c.disks, key)
		}
	}
}

// durable takes note of a batch that is synced.
func (c *checker) durable(n *node, b *wal.Batch) {
	for _, s := range b.Snapshots {
		m := c.mirror(n, s.Group)
		clear(m.entries)
		m.last = s.Index
		if !m.removed {
			m.start = max(m.start, s.Index)
		}
	}
	for _, hs := range b.States {
		m := c.mirror(n, hs.Group)
		if hs.Term < m.hard.Term || hs.Term == m.hard.Term && m.hard.Vote != 0 && hs.Vote != m.hard.Vote {
			c.w.fail("node %d, group %d: term and vote went from %d, %d to %d, %d", n.id(), hs.Group, m.hard.Term, m.hard.Vote, hs.Term, hs.Vote)
		}
		m.hard = hs
	}
	for _, e := range b.Entries {
		c.mirror(n, e.Group).put(e)
	}
}

func (m *mirror) put(e wal.Entry) {
	for i := e.Index + 1; i <= m.last; i++ {
		delete(m.entries, i)
	}
	m.entries[e.Index] = entryBytes{e.Term, e.Data}
	m.last = e.Index
}

// flushed takes note of how far the state file holds a group.
func (c *checker) flushed(n *node, group uint32, index uint64) {
	m := c.mirror(n, group)
	m.start, m.removed = max(m.start, index), false
}

// removed takes note of a replica whose state is deleted.
func (c *checker) removed(n *node, group uint32) {
	m := c.mirror(n, group)
	m.start, m.removed = 0, true
	delete(c.own, diskKey{n.index, group})
}

// committed checks entries that a node is about to apply.
func (c *checker) committed(n *node, t *core.Task) {
	before := c.seen[t.Group]
	for i, e := range t.Entries {
		if t.Confs != nil && t.Confs[i] != nil {
			c.configured(n, t.Group, e.GetIndex(), t.Confs[i])
		}
		c.seen[t.Group] = max(c.seen[t.Group], e.GetIndex())
		key := entryKey{t.Group, e.GetIndex()}
		known, ok := c.entries[key]
		if ok {
			if known.term != e.GetTerm() || !bytes.Equal(known.data, e.GetData()) {
				c.w.fail("group %d, index %d: node %d applies term %d and %d bytes, elsewhere it was term %d and %d bytes",
					t.Group, key.index, n.id(), e.GetTerm(), len(e.GetData()), known.term, len(known.data))
			}
			continue
		}
		c.entries[key] = entryBytes{e.GetTerm(), e.GetData()}
		c.counted(key, e.GetTerm(), before)
	}
}

// counted checks that an entry that is committed for the first time is durable on
// a majority. The leader counts by the configuration that it has applied, which
// is one of those in force from what was known as committed before up to the
// entry; right after an election, the one before.
func (c *checker) counted(key entryKey, term, before uint64) {
	list := c.confs[key.group]
	for i := max(list.at(before)-1, 0); i <= list.at(key.index); i++ {
		if c.majority(list[i].cs, key, term) {
			return
		}
	}
	c.w.fail("group %d, index %d, term %d is committed but not durable on a majority of %v", key.group, key.index, term, list[list.at(key.index)].cs)
}

func (c *checker) holds(node int, key entryKey, term uint64) bool {
	m := c.disks[diskKey{node, key.group}]
	if m == nil || m.removed {
		return false
	}
	e, ok := m.entries[key.index]
	return ok && e.term == term || key.index <= m.start
}

// leads checks that no two nodes lead in one term.
func (c *checker) leads(n *node, l core.LeaderChange) {
	if l.Leader == 0 {
		return
	}
	key := termKey{l.Group, l.Term}
	if other, ok := c.leaders[key]; ok && other != l.Leader {
		c.w.fail("group %d, term %d: nodes %d and, as node %d has it, %d both lead", l.Group, l.Term, other, n.id(), l.Leader)
	}
	c.leaders[key] = l.Leader
	if l.Leader == n.id() {
		c.leadsWithin(n, l.Group)
		c.w.logf("node %d leads group %d in term %d", n.id(), l.Group, l.Term)
	}
}

// applied compares the states of replicas now and then: it costs a full scan.
func (c *checker) applied(n *node, part interface {
	ID() uint32
	Applied() (uint64, uint64)
	Digest() uint64
},
) {
	index, _ := part.Applied()
	if index%8 != 0 {
		return
	}
	c.compare(n, part)
}

func (c *checker) compare(n *node, part interface {
	ID() uint32
	Applied() (uint64, uint64)
	Digest() uint64
},
) {
	index, _ := part.Applied()
	key := entryKey{part.ID(), index}
	digest := part.Digest()
	if c.w.marks[diskKey{n.index, part.ID()}] != nil {
		return // it is damaged, and a scrub will find that
	}
	if digest == 0 {
		c.w.fail("group %d, applied index %d: the state of node %d cannot be read", key.group, index, n.id())
	}
	if known, ok := c.digests[key]; ok && known != digest {
		c.w.fail("group %d, applied index %d: node %d has another state than others had", key.group, index, n.id())
	}
	c.digests[key] = digest
}

// pictured takes note of the state of which a picture is taken: a replica that gets
// it must be equal.
func (c *checker) pictured(n *node, group uint32) {
	if part := n.parts[group]; part.Damaged() == nil {
		c.compare(n, part)
	}
}

// recovered compares what the WAL gives back after a crash with what was
// durable. A batch that was being written may be there too, whole.
func (c *checker) recovered(n *node, rec *wal.Recovered) {
	err := c.matches(n, rec)
	if err != nil && n.batch != nil {
		before := c.copyDisk(n)
		c.durable(n, n.batch)
		if err2 := c.matches(n, rec); err2 != nil {
			c.restoreDisk(n, before)
			err = fmt.Errorf("%w; nor with the batch under way: %w", err, err2)
		} else {
			err = nil
		}
	}
	if err != nil {
		c.w.fail("node %d: WAL after the crash: %w", n.id(), err)
	}
}

func (c *checker) copyDisk(n *node) map[diskKey]*mirror {
	out := make(map[diskKey]*mirror)
	for key, m := range c.disks {
		if key.node != n.index {
			continue
		}
		dup := *m
		dup.entries = make(map[uint64]entryBytes, len(m.entries))
		for i, e := range m.entries {
			dup.entries[i] = e
		}
		out[key] = &dup
	}
	return out
}

func (c *checker) restoreDisk(n *node, disk map[diskKey]*mirror) {
	c.forget(n)
	for key, m := range disk {
		c.disks[key] = m
	}
}

func (c *checker) matches(n *node, rec *wal.Recovered) error {
	for id, g := range rec.Groups {
		if c.disks[diskKey{n.index, id}] == nil && (g.HardState.Term != 0 || g.Snapshot.Index != 0 || len(g.Entries) != 0) {
			return fmt.Errorf("group %d, term %d was never durable", id, g.HardState.Term)
		}
	}
	for key, m := range c.disks {
		if key.node != n.index {
			continue
		}
		g := rec.Groups[key.group]
		if g == nil {
			g = &wal.Group{}
		}
		if m.hard.Term != g.HardState.Term || m.hard.Vote != g.HardState.Vote {
			return fmt.Errorf("group %d: term %d, vote %d were durable; recovered %d, %d", key.group, m.hard.Term, m.hard.Vote, g.HardState.Term, g.HardState.Vote)
		}
		if err := m.matches(g); err != nil {
			return fmt.Errorf("group %d: %w", key.group, err)
		}
	}
	return nil
}

func (m *mirror) matches(g *wal.Group) error {
	last := g.Snapshot.Index
	for _, e := range g.Entries {
		last = e.Index
		if e.Index <= m.start {
			continue
		}
		want, ok := m.entries[e.Index]
		if !ok || want.term != e.Term || !bytes.Equal(want.data, e.Data) {
			return fmt.Errorf("entry %d, term %d was never durable", e.Index, e.Term)
		}
	}
	if !m.removed && m.last > m.start && last != m.last {
		return fmt.Errorf("log up to %d was durable; recovered up to %d", m.last, last)
	}
	return nil
}
