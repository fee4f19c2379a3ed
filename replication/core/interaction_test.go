package core

import (
	"crypto/rand"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

// The scripts in testdata/interaction drive cores whose disks and links are perfect unless
// the script says otherwise. Commands:
//
//	cluster nodes=3 groups=2 [sleep=N] [keep=N]   first membership; group g prefers node g%nodes+1
//	tick [n=1]                                    all nodes, n times, work done in between
//	settle                                        work without the passing of time
//	propose node=1 group=0 value=x                answers are printed when they come
//	read node=1 group=0
//	cut node=1 / join node=1                      links
//	down node=1 / up node=1                       hint to all others
//	crash node=1 / start node=1                   from what is durable
//	full node=1 / room node=1
//	stop node=1                                   asks others to lead
//	hold node=1 / release node=1                  WAL writes are not finished / are
//	ring epoch=2 group=0 row=(1,2,3) [goal=(1,2,4)] [paused] [cancelled] [leaving=1] [node=1]
//	                                              a ring document, known to all at once or to one node
//	frames node=1 [each=N] [most=N]               of the frames it sends from now on only each Nth arrives, and only the first
//	status                                        a line a group
type world struct {
	t       *testing.T
	nodes   []*testNode
	out     strings.Builder
	cfg     Config
	groups  int
	members int // of the first configuration
	restart uint64
	doc     *ring.Document             // what a node starts with; nil: the first membership
	newest  int                        // so many values are kept in the state; 0: all
	parted  func(from, to uint64) bool // links that are cut; nil: none
	slow    bool                       // large appends are held, in order
	held    []func()
}

// testNode is a node with a WAL that is a slice and a state that is a list of
// values.
type testNode struct {
	w     *world
	id    uint64
	core  *Core // nil: down
	cut   bool
	hold  bool
	stall bool // its WAL is held as soon as a snapshot is restored
	wal   map[uint32]*wal.Group
	batch *wal.Batch
	state map[uint32]*testState
	inbox []func()
	tombs map[uint32]Tomb

	pictures map[uint64]testState
	staged   map[uint32]*testStaging
	broken   bool // the state is damaged: nothing can be applied
	starved  bool // appends do not reach it
	slow     bool // tasks gather in late instead of being run
	late     []Task
	scrubs   []Scrub
	dropped  []Bulk // what need not be sent any more
	bulky    []Bulk // appends that were sent as bulk
	damages  []uint32
	sent     int
	keep     int // frames are lost, but for each keep-th,
	most     int // and those behind so many; 0: nothing is lost
	waiting  []FrameJob
	patient  bool // frames gather in waiting instead of being made
}

type testState struct {
	index, term uint64
	conf        []byte
	values      []string
}

func TestInteraction(t *testing.T) {
	old := rand.Reader
	defer func() { rand.Reader = old }()
	datadriven.Walk(t, "testdata/interaction", func(t *testing.T, path string) {
		rand.Reader = mathrand.NewChaCha8([32]byte{1})
		w := &world{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.t = t
			w.out.Reset()
			w.command(d)
			if w.out.Len() == 0 {
				return "ok\n"
			}
			return w.out.String()
		})
	})
}

func (w *world) printf(format string, v ...any) { fmt.Fprintf(&w.out, format+"\n", v...) }

func text(d *datadriven.TestData, key string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) == 1 {
			return a.Vals[0]
		}
	}
	return ""
}

func arg(d *datadriven.TestData, key string, def int) int {
	if n, err := strconv.Atoi(text(d, key)); err == nil {
		return n
	}
	return def
}

func (w *world) command(d *datadriven.TestData) {
	var n *testNode
	if id := arg(d, "node", 0); id > 0 {
		n = w.nodes[id-1]
	}
	switch d.Cmd {
	case "cluster":
		w.cluster(arg(d, "nodes", 3), arg(d, "spare", 0), arg(d, "groups", 1), Config{SleepTicks: arg(d, "sleep", -1), KeepEntries: arg(d, "keep", 1024)})
	case "tick":
		for range arg(d, "n", 1) {
			for _, n := range w.nodes {
				if n.core != nil {
					n.core.Tick()
				}
			}
			w.settle()
		}
	case "settle":
	case "propose":
		n.propose(d)
	case "read":
		n.read(d)
	case "cut", "join":
		n.cut = d.Cmd == "cut"
	case "down", "up":
		for _, other := range w.nodes {
			if other != n && other.core != nil {
				if d.Cmd == "down" {
					other.core.PeerDown(n.id)
				} else {
					other.core.PeerUp(n.id)
				}
			}
		}
	case "crash":
		n.core, n.inbox, n.batch, n.hold, n.pictures = nil, nil, nil, false, nil
	case "start":
		n.start()
	case "full", "room":
		n.core.SetFull(d.Cmd == "full")
	case "stop":
		n.core.Stop()
	case "frames":
		n.sent, n.keep, n.most = 0, arg(d, "each", 1), arg(d, "most", 1<<30)
	case "hold":
		n.hold = true
	case "release":
		n.hold = false
	case "ring":
		w.ring(n, d)
	case "status":
		w.settle()
		w.status()
		return
	case "behind":
		w.settle()
		w.behind()
		return
	default:
		w.t.Fatalf("unknown command %q", d.Cmd)
	}
	w.settle()
}

func (w *world) cluster(nodes, spare, groups int, cfg Config) {
	w.nodes, w.cfg, w.groups, w.members, w.doc = nil, cfg, groups, nodes, nil
	for i := range nodes + spare {
		n := &testNode{w: w, id: uint64(i + 1), wal: make(map[uint32]*wal.Group), tombs: make(map[uint32]Tomb), staged: make(map[uint32]*testStaging), state: make(map[uint32]*testState)}
		for g := range groups {
			n.state[uint32(g)] = &testState{}
			if i < nodes {
				*n.state[uint32(g)] = testState{index: FirstIndex, term: FirstTerm, conf: FirstConf(w.table(g, nodes))}
			}
		}
		w.nodes = append(w.nodes, n)
	}
	for _, n := range w.nodes {
		n.start()
	}
}

func (w *world) table(g, nodes int) []uint64 {
	var row []uint64
	for i := range nodes {
		row = append(row, uint64((g+i)%nodes+1))
	}
	return row
}

func (n *testNode) start() {
	n.w.restart++
	cfg := n.w.cfg
	cfg.Member, cfg.Incarnation = n.id, n.w.restart
	n.core = New(cfg)
	if n.w.doc != nil {
		n.core.SetRing(n.w.doc)
	}
	for g := range n.w.groups {
		n.takeUp(uint32(g))
	}
}

// takeUp adds a replica that the node has, or should have.
func (n *testNode) takeUp(g uint32) {
	st, table := n.state[g], n.w.table(int(g), n.w.members)
	row := table
	if n.w.doc != nil {
		table, row = n.w.doc.Goal(g), n.w.doc.Group(g)
	}
	if n.w.doc != nil && st.index == 0 && !slices.Contains(table, n.id) && !slices.Contains(row, n.id) {
		return
	}
	err := n.core.Add(Replica{
		Group: g, Table: table, Index: st.index, Term: st.term, Conf: st.conf, Tomb: n.tombs[g], Log: n.wal[g],
	})
	if err != nil {
		n.w.printf("node %d: %v", n.id, err)
	}
}

// ring makes a document that tells of one group what it is told, and hands it to
// the nodes, or to one.
func (w *world) ring(n *testNode, d *datadriven.TestData) {
	doc := &ring.Document{Epoch: uint64(arg(d, "epoch", 2)), Partitions: w.groups}
	if w.doc != nil {
		doc.Table = slices.Clone(w.doc.Table)
	} else {
		for g := range w.groups {
			doc.Table = append(doc.Table, w.table(g, w.members))
		}
	}
	leaving := uint64(arg(d, "leaving", 0))
	for _, n := range w.nodes {
		m := ring.Member{ID: n.id, State: ring.Active}
		if n.id == leaving {
			m.State = ring.Leaving
		}
		doc.Members = append(doc.Members, m)
	}
	g := arg(d, "group", 0)
	if row := ids(d, "row"); row != nil {
		doc.Table[g] = row
	}
	if goal := ids(d, "goal"); goal != nil {
		doc.Change = &ring.Change{ID: "x", Target: slices.Clone(doc.Table), Since: doc.Epoch}
		doc.Change.Target[g] = goal
		doc.Change.Paused, doc.Change.Canceled = d.HasArg("paused"), d.HasArg("cancelled")
	}
	if n != nil {
		n.core.SetRing(doc)
		return
	}
	w.doc = doc
	for _, n := range w.nodes {
		if n.core == nil {
			continue
		}
		n.core.SetRing(doc)
		for g := range w.groups {
			n.takeUp(uint32(g))
		}
	}
}

func ids(d *datadriven.TestData, key string) (out []uint64) {
	for _, a := range d.CmdArgs {
		if a.Key != key {
			continue
		}
		for _, v := range a.Vals {
			id, _ := strconv.ParseUint(v, 10, 64)
			out = append(out, id)
		}
	}
	return out
}

// settle lets everybody work until nothing is left to do.
func (w *world) settle() {
	for range 10000 {
		busy := false
		for _, n := range w.nodes {
			if n.core == nil {
				continue
			}
			todo := n.inbox
			n.inbox = nil
			for _, f := range todo {
				f()
			}
			if n.batch != nil && !n.hold {
				n.append()
				busy = true
			}
			busy = n.carryOut(n.core.Advance()) || busy || len(todo) > 0
		}
		if !busy {
			return
		}
	}
	w.t.Fatal("the cluster does not come to rest")
}

func (n *testNode) carryOut(r *Round) bool {
	n.deliver(r.Sends)
	if r.WAL != nil {
		n.batch = r.WAL
	}
	if n.slow {
		n.late = append(n.late, r.Tasks...)
	} else {
		for i := range r.Tasks {
			n.run(&r.Tasks[i])
		}
	}
	n.transfer(r)
	for _, read := range r.Reads {
		read.Done(op.ReadResult{Code: op.OK, Text: strings.Join(n.state[read.Group].values, ",")})
	}
	for _, l := range r.Leaders {
		if l.Leader == n.id {
			n.w.printf("node %d leads group %d in term %d", n.id, l.Group, l.Term)
		}
	}
	for _, answer := range r.Answers {
		answer()
	}
	for _, rm := range r.Removals {
		n.w.printf("node %d: group %d deleted as of %d", n.id, rm.Group, rm.Tomb.Index)
		n.state[rm.Group], n.tombs[rm.Group] = &testState{}, rm.Tomb
		n.core.Removed(rm.Group, func() { n.takeUp(rm.Group) })
	}
	return len(r.Sends)+len(r.Tasks)+len(r.Pictures)+len(r.Frames)+len(r.Stages) > 0 || r.WAL != nil && !n.hold
}

func (n *testNode) append() {
	group := func(id uint32) *wal.Group {
		if n.wal[id] == nil {
			n.wal[id] = &wal.Group{}
		}
		return n.wal[id]
	}
	for _, s := range n.batch.Snapshots {
		*group(s.Group) = wal.Group{HardState: group(s.Group).HardState, Snapshot: s}
	}
	for _, hs := range n.batch.States {
		group(hs.Group).HardState = hs
	}
	for _, e := range n.batch.Entries {
		g := group(e.Group)
		i := sort.Search(len(g.Entries), func(i int) bool { return g.Entries[i].Index >= e.Index })
		if i < len(g.Entries) {
			g.Entries = g.Entries[:i:i]
		}
		g.Entries = append(g.Entries, e)
	}
	n.batch = nil
	n.core.WALDone()
}

func (n *testNode) run(t *Task) {
	st := n.state[t.Group]
	if t.Restore != nil {
		meta := t.Restore.GetMetadata()
		*st = testState{index: meta.GetIndex(), term: meta.GetTerm(), conf: EncodeConf(meta.GetConfState())}
		if s := n.staged[t.Group]; s == nil || s.name != string(t.Restore.GetData()) || !s.done {
			n.w.printf("node %d: group %d: not all of the snapshot is staged", n.id, t.Group)
		} else {
			st.values = s.values
		}
		delete(n.staged, t.Group)
		n.w.printf("node %d: group %d restored at %d", n.id, t.Group, st.index)
		n.hold, n.stall = n.hold || n.stall, false
		n.broken = false
		n.core.Restored(t)
		return
	}
	if n.broken {
		_ = n.core.Damaged(t.Group, t, st.index)
		return
	}
	for i, e := range t.Entries {
		if e.GetIndex() <= st.index {
			continue // in the state that took the place of a damaged one
		}
		st.index, st.term = e.GetIndex(), e.GetTerm()
		if t.Confs != nil && t.Confs[i] != nil {
			st.conf = t.Confs[i]
		} else if len(e.GetData()) > 0 {
			st.values = append(st.values, string(e.GetData()))
			if n.w.newest > 0 {
				st.values = st.values[max(0, len(st.values)-n.w.newest):]
			}
		}
		if t.Dones != nil && t.Dones[i] != nil {
			t.Dones[i](op.WriteResult{Code: op.OK, Revision: e.GetIndex()})
		}
	}
	n.core.Applied(t)
}

func codeName(c op.Code) string {
	return map[op.Code]string{op.OK: "ok", op.Redirect: "redirect", op.Retry: "retry", op.Unavailable: "unavailable", op.Full: "full"}[c]
}

func (n *testNode) propose(d *datadriven.TestData) {
	value := text(d, "value")
	count := arg(d, "count", 1)
	var ps []Proposal
	for i := range count {
		v := value
		if count > 1 {
			v = fmt.Sprint(value, i)
		}
		ps = append(ps, Proposal{Group: uint32(arg(d, "group", 0)), Cmd: []byte(v), Done: func(r op.WriteResult) {
			n.w.printf("write %s: %s", v, codeName(r.Code))
		}})
	}
	n.core.Propose(ps)
}

func (n *testNode) read(d *datadriven.TestData) {
	n.core.Read([]ReadRequest{{Group: uint32(arg(d, "group", 0)), Done: func(r op.ReadResult) {
		n.w.printf("read: %s [%s]", codeName(r.Code), r.Text)
	}}})
}

// behind prints what the replicas lack, as their leaders say.
func (w *world) behind() {
	for _, n := range w.nodes {
		if n.core == nil {
			continue
		}
		for _, g := range n.core.Groups() {
			for _, id := range slices.Sorted(maps.Keys(g.Match)) {
				w.printf("group %d: node %d lacks %d of %d, says node %d", g.Group, id, g.Last-g.Match[id], g.Last, n.id)
			}
		}
	}
}

func (w *world) status() {
	for _, n := range w.nodes {
		if n.core == nil {
			w.printf("node %d is down", n.id)
			continue
		}
		for _, g := range n.core.Groups() {
			s := n.state[g.Group]
			more := ""
			if g.Asleep {
				more += " asleep"
			}
			if g.Joint {
				more += " joint"
			}
			if g.Stray {
				more += " stray"
			}
			if g.Waits != "" {
				more += ": " + g.Waits
			}
			w.printf("node %d group %d: leader %d term %d last %d commit %d applied %d voters %v learners %v values [%s]%s",
				n.id, g.Group, g.Leader, g.Term, g.Last, g.Commit, g.Applied, g.Voters, g.Learners, strings.Join(s.values, ","), more)
		}
	}
}
