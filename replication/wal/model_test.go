package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

var testStore = [16]byte{1, 2, 3, 4}

// zeroRand makes salts that differ and are the same in each run.
type zeroRand struct{ n byte }

func (z *zeroRand) Read(p []byte) (int, error) {
	for i := range p {
		z.n++
		p[i] = z.n
	}
	return len(p), nil
}

// model is what the log must hold: a plain reading of the contract.
type model struct {
	groups   map[uint32]*modelGroup
	released map[uint32]uint64
}

type modelGroup struct {
	state   HardState
	snap    Snapshot
	entries map[uint64]Entry
	last    uint64
}

func newModel() *model {
	return &model{groups: map[uint32]*modelGroup{}, released: map[uint32]uint64{}}
}

func (m *model) group(id uint32) *modelGroup {
	if m.groups[id] == nil {
		m.groups[id] = &modelGroup{entries: map[uint64]Entry{}}
	}
	return m.groups[id]
}

func (m *model) clone() *model {
	c := newModel()
	for id, g := range m.groups {
		n := *g
		n.entries = map[uint64]Entry{}
		for i, e := range g.entries {
			n.entries[i] = e
		}
		c.groups[id] = &n
	}
	for id, i := range m.released {
		c.released[id] = i
	}
	return c
}

func (m *model) append(b *Batch) {
	for _, s := range b.Snapshots {
		g := m.group(s.Group)
		g.snap, g.last = s, s.Index
		clear(g.entries)
	}
	for _, e := range b.Entries {
		g := m.group(e.Group)
		for i := e.Index; i <= g.last; i++ {
			delete(g.entries, i)
		}
		e.Data = bytes.Clone(e.Data)
		g.entries[e.Index], g.last = e, e.Index
	}
	for _, s := range b.States {
		m.group(s.Group).state = s
	}
}

// check compares what was recovered. Entries at or below the released index
// may be there or not.
func (m *model) check(r *Recovered) error {
	for id := range r.Groups {
		if m.groups[id] == nil {
			return fmt.Errorf("group %d appeared", id)
		}
	}
	for id, want := range m.groups {
		got := r.Groups[id]
		if got == nil {
			got = &Group{}
		}
		if got.HardState != want.state {
			return fmt.Errorf("group %d: hard state %+v, want %+v", id, got.HardState, want.state)
		}
		if got.Snapshot != want.snap && (got.Snapshot != Snapshot{} || want.snap.Index > m.released[id]) {
			return fmt.Errorf("group %d: snapshot %+v, want %+v", id, got.Snapshot, want.snap)
		}
		if err := want.checkEntries(got.Entries, m.released[id]); err != nil {
			return fmt.Errorf("group %d: %w", id, err)
		}
	}
	return nil
}

func (g *modelGroup) checkEntries(got []Entry, released uint64) error {
	for i, e := range got {
		want, ok := g.entries[e.Index]
		if !ok || e.Term != want.Term || e.Type != want.Type || !bytes.Equal(e.Data, want.Data) {
			return fmt.Errorf("entry %d (term %d) is not the one appended", e.Index, e.Term)
		}
		if i > 0 && e.Index != got[i-1].Index+1 {
			return fmt.Errorf("entries %d and %d are neighbours", got[i-1].Index, e.Index)
		}
	}
	for i := range g.entries {
		if i > released && !slices.ContainsFunc(got, func(e Entry) bool { return e.Index == i }) {
			return fmt.Errorf("entry %d is missing (released %d)", i, released)
		}
	}
	return nil
}

// randomBatch continues the model's log.
func (m *model) randomBatch(rng *rand.Rand, term uint64, groups int) *Batch {
	b := &Batch{}
	for range rng.IntN(3) {
		id := uint32(rng.IntN(groups))
		g := m.clone().group(id)
		if slices.ContainsFunc(b.Entries, func(e Entry) bool { return e.Group == id }) ||
			slices.ContainsFunc(b.Snapshots, func(s Snapshot) bool { return s.Group == id }) {
			continue
		}
		at := g.last + 1
		switch k := rng.IntN(12); {
		case k == 0:
			s := Snapshot{Group: id, Index: g.last + uint64(rng.IntN(4)) + 1, Term: term}
			b.Snapshots = append(b.Snapshots, s)
			at = s.Index + 1
		case k == 1:
			low := max(g.snap.Index, m.released[id]) + 1
			if low < g.last {
				at = low + uint64(rng.IntN(int(g.last-low)))
			}
		}
		for range rng.IntN(5) {
			data := make([]byte, rng.IntN(900))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			b.Entries = append(b.Entries, Entry{Group: id, Index: at, Term: term, Type: uint8(rng.IntN(3)), Data: data})
			at++
		}
	}
	if rng.IntN(3) == 0 {
		id := uint32(rng.IntN(groups))
		b.States = append(b.States, HardState{Group: id, Term: term, Vote: uint64(rng.IntN(4)), Commit: uint64(rng.IntN(100))})
	}
	return b
}

// workload runs random appends, releases and reopenings until the first error.
// It returns what is acknowledged, and what would be if the failed call worked.
type workload struct {
	fs    *MemFS
	rng   *rand.Rand
	opt   Options
	model *model
	maybe *model // after the call under way; nil: none
}

func newWorkload(fs *MemFS, seed uint64, faults Faults) *workload {
	return &workload{
		fs:    fs,
		rng:   rand.New(rand.NewPCG(seed, 1)),
		opt:   Options{SegmentSize: 16 << 10, Inline: true, Rand: &zeroRand{}, Faults: faults},
		model: newModel(),
	}
}

func (w *workload) run(steps int) error {
	log, rec, err := Open(w.fs, "wal", testStore, w.opt)
	if err != nil {
		return err
	}
	if err := w.model.check(rec); err != nil {
		return fmt.Errorf("%w: %w", errModel, err)
	}
	for i := range steps {
		switch k := w.rng.IntN(20); {
		case k == 0:
			err = w.release(log)
		case k == 1:
			if err = log.Close(); err == nil {
				log, rec, err = Open(w.fs, "wal", testStore, w.opt)
			}
			if err == nil {
				if err := w.model.check(rec); err != nil {
					return fmt.Errorf("%w: %w", errModel, err)
				}
			}
		default:
			b := w.model.randomBatch(w.rng, uint64(i/10+1), 4)
			w.maybe = w.model.clone()
			w.maybe.append(b)
			if err = log.Append(b); err == nil {
				w.model, w.maybe = w.maybe, nil
			}
		}
		if err != nil {
			return err
		}
	}
	return log.Close()
}

func (w *workload) release(log *Log) error {
	w.maybe = nil
	released := map[uint32]uint64{}
	for id, g := range w.model.groups {
		low := max(w.model.released[id], g.snap.Index)
		released[id] = low
		if g.last > low {
			released[id] = low + uint64(w.rng.IntN(int(g.last-low)+1))
		}
	}
	w.model.released = released
	return log.Release(released)
}

var errModel = errors.New("the log differs from the model")

// afterCrash reopens and compares with both possible outcomes.
func (w *workload) afterCrash() (*Recovered, error) {
	log, rec, err := Open(w.fs, "wal", testStore, w.opt)
	if err != nil {
		return nil, err
	}
	if err := log.Close(); err != nil {
		return nil, err
	}
	return rec, w.settle(rec)
}

// settle decides what became of the call under way.
func (w *workload) settle(rec *Recovered) error {
	err := w.model.check(rec)
	if err != nil && w.maybe != nil && w.maybe.check(rec) == nil {
		w.model, err = w.maybe, nil
	}
	w.maybe = nil
	if err != nil {
		return fmt.Errorf("%w: %w", errModel, err)
	}
	return nil
}
