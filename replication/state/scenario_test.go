package state

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// scenario runs a random log through two replicas and the model. One replica
// crashes, is restored from snapshots and has a full disk now and then.
type scenario struct {
	intn  func(n int) int
	dir   string
	opt   Options
	model *model
	log   []*entry // index i+1
	now   int64
	opens []op.Session
	seqs  map[op.Session]uint64
	a, b  *replica
	count int    // files made
	start uint64 // where the history begins
	full  bool
}

type replica struct {
	store *Store
	part  *Partition
	path  string
}

const testPartition = ring.MetaPartition

func newScenario(dir string, intn func(int) int, faults Faults) (*scenario, error) {
	s := &scenario{intn: intn, dir: dir, now: 1, start: never, seqs: map[op.Session]uint64{}}
	s.opt = Options{
		MaxSessions:      4,
		MaxOwnerSessions: 3,
		SessionTTL:       100 * time.Millisecond,
		SessionGrace:     10 * time.Millisecond,
		HistoryEntries:   30,
		stepObjects:      4,
		expirePerEntry:   2,
		NoSync:           true,
		Faults:           faults,
	}
	s.model = newModel(s.opt)
	s.opt.failFlush = func() error {
		if s.full {
			return fmt.Errorf("write: %w", syscall.ENOSPC)
		}
		return nil
	}
	var err error
	if s.a, err = s.open(""); err == nil {
		s.b, err = s.open("")
	}
	return s, err
}

// open opens a new store, or the one at path.
func (s *scenario) open(path string) (*replica, error) {
	if path == "" {
		s.count++
		path = filepath.Join(s.dir, fmt.Sprintf("state%d", s.count))
	}
	store, err := OpenStore(path, s.opt)
	if err != nil {
		return nil, err
	}
	p, err := store.Partition(testPartition)
	if err != nil {
		return nil, err
	}
	return &replica{store, p, path}, nil
}

func (s *scenario) close() {
	s.a.store.Close()
	s.b.store.Close()
}

func (s *scenario) run(steps int) error {
	for i := range steps {
		if err := s.step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return s.compare()
}

func (s *scenario) step() error {
	switch k := s.intn(40); {
	case k == 0:
		return s.crash()
	case k == 1:
		return s.snapshot()
	case k == 2:
		return s.b.store.Flush()
	case k < 6:
		s.full = s.intn(4) == 0
		err := s.a.store.Flush()
		if s.full && errors.Is(err, ErrFull) {
			err = nil
		}
		s.full = false
		return err
	case k < 12:
		return s.read()
	case k == 12:
		return s.compare()
	}
	return s.append(s.entry())
}

// append feeds an entry to the model and both replicas.
func (s *scenario) append(e *entry) error {
	s.log = append(s.log, e)
	index := uint64(len(s.log))
	if s.start == never && !e.noop && e.conf == "" {
		s.start = index - 1
	}
	want := s.model.apply(index, e)
	if e.owner != "" && want.Code == op.OK {
		s.opens = append(s.opens, want.Session)
	}
	for name, r := range map[string]*replica{"a": s.a, "b": s.b} {
		if err := sameWrite(r.apply(index, e), want); err != nil {
			return fmt.Errorf("entry %d %+v on replica %s: %w", index, e.write, name, err)
		}
	}
	return nil
}

func (r *replica) apply(index uint64, e *entry) op.WriteResult {
	if e.conf != "" {
		r.part.SetConf(index, 1, []byte(e.conf))
		return op.WriteResult{Code: op.OK}
	}
	return r.part.Apply(index, 1, e.encode())
}

func (s *scenario) entry() *entry {
	s.now += int64(s.intn(4))
	e := &entry{now: s.now}
	switch k := s.intn(60); {
	case k == 0:
		s.now += 60
		e.noop = true
	case k == 1:
		e.conf = fmt.Sprint("conf ", len(s.log))
	case k < 4:
		e.doc, e.epoch = fmt.Sprint("ring ", len(s.log)), s.model.epoch-uint64(s.intn(2))
	case k < 10 || len(s.opens) == 0:
		e.owner = fmt.Sprintf("app%d@example.org", s.intn(3))
	case k < 16 && len(s.log) > 0:
		return s.log[s.intn(len(s.log))] // a late copy; its time is old as well
	case k == 16:
		e.tick = true
		s.now += int64(s.intn(20))
	case k == 20:
		e.epoch, e.indexes = s.model.generation+uint64(s.intn(3)), []ring.Index{}
		for _, x := range []ring.Index{{Name: "n", ID: 1, Field: "n", Path: "*"}, {Name: "t", ID: 2, Prefix: "root1", Field: "t", Path: "a"}, {Name: "n", ID: 3, Field: "n", Prefix: "root", Path: "b"}} {
			if s.intn(3) > 0 && s.model.fits(&x, e.indexes, e.epoch) {
				e.indexes = append(e.indexes, x)
			}
		}
	case k < 20:
		id := s.opens[max(0, len(s.opens)-1-s.intn(4))]
		e.ask = &op.Settle{Session: id, Seq: s.seqs[id] + uint64(s.intn(2))}
		s.seqs[id] = max(s.seqs[id], e.ask.Seq)
		e.by = s.owner(id)
	default:
		e.write = s.write()
		e.by = s.owner(e.write.Session)
	}
	return e
}

// jsonValue is a small object, or nearly one.
func jsonValue(intn func(int) int) string {
	values := []string{"1", "-2.5", "1e3", `"x"`, `"ä\u00e4"`, "true", "false", "null", `[1,"x",1,{}]`, "[]", "{}"}
	at := func() string { return values[intn(len(values))] }
	return fmt.Sprintf(`{"a":%s, "n":%s,"t" : %s}%s`, at(), at(), at(), []string{"", "", "", "x"}[intn(4)])
}

// owner is who opened the session, or rarely another.
func (s *scenario) owner(id op.Session) string {
	if known := s.model.sessions[id]; known != nil && s.intn(20) > 0 {
		return known.owner
	}
	return "app0@example.org"
}

func (s *scenario) write() *op.Write {
	id := s.opens[max(0, len(s.opens)-1-s.intn(4))]
	w := &op.Write{Root: fmt.Sprint("root", s.intn(3)), Session: id}
	last := s.seqs[id]
	switch k := s.intn(12); {
	case k == 0:
		w.Seq = last + op.MaxWindow*2
	case k < 4:
		w.Seq = max(1, last-min(last, uint64(s.intn(5))))
	default:
		w.Seq = last + 1
		s.seqs[id] = w.Seq
	}
	w.Floor = w.Seq - min(w.Seq, uint64(s.intn(6)))
	if s.intn(30) == 0 {
		w.Floor = w.Seq + 1
	}
	if s.intn(8) == 0 {
		w.RootCond = op.Condition{Kind: op.VersionIs, Version: s.model.roots[w.Root] - uint64(s.intn(2))}
	}
	paths := []string{"", "a", "a/b", "a/c", "b", "z"}
	for range 1 + s.intn(3) {
		at := s.intn(len(paths))
		m := op.Mutation{Kind: op.Put, Path: paths[at]}
		paths = append(paths[:at:at], paths[at+1:]...)
		m.Cond.Kind = []op.CondKind{op.Always, op.Always, op.Absent, op.Present, op.VersionIs}[s.intn(5)]
		if m.Cond.Kind == op.VersionIs {
			m.Cond.Version = s.model.objects[w.Root+"\x00"+m.Path].version + uint64(s.intn(2))
		}
		switch k := s.intn(12); {
		case k < 3:
			m.Kind = op.Delete
		case k < 5:
			m.Kind, m.Delta = op.Add, int64(s.intn(5)-2)
			if s.intn(8) == 0 {
				m.Delta = math.MaxInt64
			}
		case k == 5:
			m.Kind = op.Check
		default:
			if s.intn(3) == 0 {
				m.TTL = int64(1 + s.intn(30))
			}
			m.Value = fmt.Appendf(nil, "value %d", s.intn(1000))
			for range s.intn(3) {
				m.Refs = append(m.Refs, op.Ref{Root: "other", Path: fmt.Sprint(s.intn(9))})
			}
			if s.intn(2) == 0 {
				m.Value = []byte(jsonValue(s.intn))
			}
			if s.intn(4) == 0 {
				m.Value = strconv.AppendInt(nil, int64(s.intn(9)), 10)
			}
		}
		w.Mutations = append(w.Mutations, m)
	}
	return w
}

func (s *scenario) changes() error {
	r := &op.Read{Kind: op.Changes, Limit: s.intn(6), Values: s.intn(2) == 0}
	switch s.intn(3) {
	case 0:
		r.Root, r.Prefix = fmt.Sprint("root", s.intn(4)), []string{"", "a"}[s.intn(2)]
		if r.ByRevision = s.intn(2) == 0; r.ByRevision {
			r.SinceRevision = s.model.roots[r.Root] - min(s.model.roots[r.Root], uint64(s.intn(25)))
		}
	case 1:
		r.Prefix = "root1"
	}
	if !r.ByRevision {
		r.Since = uint64(len(s.log)) - min(uint64(len(s.log)), uint64(s.intn(60))) + uint64(s.intn(2))
	}
	for _, rep := range []*replica{s.a, s.b} {
		h := &rep.part.history
		if most := s.opt.HistoryEntries; len(h.blocks) > 0 && h.records-h.blocks[0].records >= most || h.records < most && h.floor > s.start {
			return fmt.Errorf("the history has %d records behind %d", h.records, h.floor)
		}
		if err := sameRead(rep.part.Read(r), s.model.changes(r, h.floor)); err != nil {
			return fmt.Errorf("%+v: %w", r, err)
		}
	}
	return nil
}

func (s *scenario) read() error {
	switch s.intn(6) {
	case 0, 1:
		return s.changes()
	case 2:
		return s.query()
	}
	r := &op.Read{Kind: op.Get, Root: fmt.Sprint("root", s.intn(4))}
	paths := []string{"", "a", "a/", "a/b", "a/c", "b", "z"}
	if s.intn(2) == 0 {
		r.Path = paths[s.intn(len(paths))]
		r.Offset = uint64(s.intn(12))
		if s.intn(3) == 0 {
			r.Version = uint64(s.intn(5))
		}
	} else {
		r.Kind, r.Prefix, r.Limit, r.Values = op.List, paths[s.intn(3)], s.intn(4), s.intn(2) == 0
		if s.intn(2) == 0 {
			r.Kind, r.Root, r.Prefix = op.Scan, "", []string{"", "root", "root1", "s"}[s.intn(4)]
			r.AfterRoot, r.RootsOnly = fmt.Sprint("root", s.intn(3)), s.intn(3) == 0
		}
		if r.FromStart = s.intn(2) == 0; !r.FromStart {
			r.After = paths[s.intn(len(paths))]
		}
	}
	for _, rep := range []*replica{s.a, s.b} {
		if err := sameRead(rep.part.Read(r), s.model.read(r)); err != nil {
			return fmt.Errorf("%+v: %w", r, err)
		}
	}
	return nil
}

// crash closes replica a without a flush and replays the log behind Durable.
// Each entry must have the result it had at first.
func (s *scenario) crash() error {
	if err := s.a.store.Close(); err != nil {
		return err
	}
	r, err := s.open(s.a.path)
	if err != nil {
		return err
	}
	s.a = r
	applied, _ := r.part.Applied()
	if applied != r.part.Durable() {
		return fmt.Errorf("after a crash %d is applied, %d durable", applied, r.part.Durable())
	}
	m := newModel(s.opt)
	for i, e := range s.log {
		index := uint64(i + 1)
		want := m.apply(index, e)
		if index <= applied {
			continue
		}
		if err := sameWrite(r.apply(index, e), want); err != nil {
			return fmt.Errorf("replay of entry %d behind %d: %w", index, applied, err)
		}
	}
	return s.compare()
}

// snapshot restores a new replica a from the present one.
func (s *scenario) snapshot() error {
	r, err := s.open("")
	if err != nil {
		return err
	}
	old := s.a
	defer old.store.Close()
	s.a = r
	index, _ := old.part.Applied()
	if index == 0 {
		return nil
	}
	if s.intn(2) == 0 { // over an older state
		for i, e := range s.log[:s.intn(int(index))] {
			r.apply(uint64(i+1), e)
		}
	}
	if err := copyState(old.part, r.part); err != nil {
		return err
	}
	if d := r.part.Durable(); d != index {
		return fmt.Errorf("restored at %d, durable is %d", index, d)
	}
	if _, err := r.store.Sweep(); err != nil {
		return err
	}
	return s.compare()
}

// compare checks that both replicas hold what the model holds.
func (s *scenario) compare() error {
	if a, b := s.a.part.Digest(), s.b.part.Digest(); a != b || a == 0 {
		return fmt.Errorf("digests differ: %x and %x", a, b)
	}
	for root := range s.model.roots {
		r := &op.Read{Kind: op.List, Root: root, FromStart: true}
		if err := sameRead(s.a.part.Read(r), s.model.read(r)); err != nil {
			return err
		}
	}
	doc, epoch := s.a.part.Ring()
	if epoch != s.model.epoch || string(doc) != s.model.doc {
		return fmt.Errorf("ring %q at epoch %d, want %q at %d", doc, epoch, s.model.doc, s.model.epoch)
	}
	if conf := string(s.a.part.Conf()); conf != s.model.conf {
		return fmt.Errorf("configuration %q, want %q", conf, s.model.conf)
	}
	for id, want := range s.model.sessions {
		if owner, ok := s.a.part.SessionOwner(id); !ok || owner != want.owner {
			return fmt.Errorf("session %d is of %q, want %q", id, owner, want.owner)
		}
	}
	return nil
}

func runScenario(dir string, intn func(int) int, steps int, faults Faults) error {
	s, err := newScenario(dir, intn, faults)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(steps)
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		rng := rand.New(rand.NewPCG(seed, 3))
		if err := runScenario(t.TempDir(), rng.IntN, rapid.IntRange(1, 400).Draw(rt, "steps"), Faults{}); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestKnownSeeds runs what random search has found once.
func TestKnownSeeds(t *testing.T) {
	for what, known := range map[string]struct {
		seed  uint64
		steps int
	}{
		"changes read when there were elections only": {0x17dfd, 315},
	} {
		rng := rand.New(rand.NewPCG(known.seed, 3))
		if err := runScenario(t.TempDir(), rng.IntN, known.steps, Faults{}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSeededFaults shows that the scenario notices each defect.
func TestSeededFaults(t *testing.T) {
	for name, faults := range map[string]Faults{
		"applied position outside the transaction": {AppliedOutsideTx: true},
		"no dedupe":                         {NoDedupe: true},
		"failed condition unrecorded":       {ConflictUnrecorded: true},
		"snapshot without the dedupe table": {SnapshotNoSessions: true},
		"retry below the floor executed":    {FloorIgnored: true},
		"a session serves everybody":        {OwnerIgnored: true},
		"settled, but not recorded":         {SettleUnrecorded: true},
		"expiry by the local clock":         {ExpiryByLocalClock: true},
		"watch position from the clock":     {PositionByClock: true},
		"snapshot without the history":      {SnapshotNoHistory: true},
		"index not told of expiry":          {IndexKeepsExpired: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				rng := rand.New(rand.NewPCG(seed, 4))
				if err := runScenario(t.TempDir(), rng.IntN, 400, faults); err != nil {
					t.Log("found: ", err)
					return
				}
			}
			t.Error("the seeded fault was not noticed")
		})
	}
}
