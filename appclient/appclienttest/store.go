package appclienttest

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
)

// store is what the fake nodes share: the state that a Raft group would
// replicate, with the rules of docs/protocol.md.
type store struct {
	revisions map[string]uint64
	objects   map[string]map[string]op.Object
	sessions  map[op.Session]*session
	lastIndex uint64
	applied   []Applied
}

type session struct {
	partition uint32
	floor     uint64
	results   map[uint64]op.WriteResult
}

// Applied is a write that changed the state, for tests that count effects.
type Applied struct {
	Root      string
	Mutations []op.Mutation
}

func newStore() *store {
	return &store{
		revisions: make(map[string]uint64),
		objects:   make(map[string]map[string]op.Object),
		sessions:  make(map[op.Session]*session),
	}
}

func (s *store) open(partition uint32) op.WriteResult {
	s.lastIndex++
	id := op.Session(s.lastIndex)
	s.sessions[id] = &session{partition: partition, results: make(map[uint64]op.WriteResult)}
	return op.WriteResult{Code: op.OK, Session: id}
}

func (s *store) write(partition uint32, w *op.Write) op.WriteResult {
	if tooLarge, err := w.Check(); err != nil {
		code := op.Invalid
		if tooLarge {
			code = op.TooLarge
		}
		return op.WriteResult{Code: code, Text: err.Error()}
	}
	ses := s.sessions[w.Session]
	if ses == nil || ses.partition != partition {
		return op.WriteResult{Code: op.SessionExpired}
	}
	if w.Floor > ses.floor {
		ses.floor = w.Floor
		maps.DeleteFunc(ses.results, func(seq uint64, _ op.WriteResult) bool { return seq < ses.floor })
	}
	if w.Seq < ses.floor || w.Seq > ses.floor+op.MaxWindow {
		return op.WriteResult{Code: op.Unknown, Text: "outside of the session's window"}
	}
	if r, done := ses.results[w.Seq]; done {
		return r
	}
	r := s.apply(w)
	ses.results[w.Seq] = r
	return r
}

func (s *store) apply(w *op.Write) op.WriteResult {
	tree := s.objects[w.Root]
	r := op.WriteResult{Code: op.OK, Items: make([]op.Item, len(w.Mutations))}
	for i, m := range w.Mutations {
		o, there := tree[m.Path]
		ok := true
		switch m.Cond.Kind {
		case op.Absent:
			ok = !there
		case op.Present:
			ok = there
		case op.VersionIs:
			ok = there && o.Version == m.Cond.Version
		}
		r.Items[i] = op.Item{Code: op.OK, Version: o.Version}
		if !ok {
			r.Code, r.Items[i].Code = op.Conflict, op.Conflict
		}
	}
	if r.Code == op.Conflict {
		r.Revision = s.revisions[w.Root]
		return r
	}
	if tree == nil {
		tree = make(map[string]op.Object)
		s.objects[w.Root] = tree
	}
	s.revisions[w.Root]++
	r.Revision = s.revisions[w.Root]
	applied := Applied{Root: w.Root}
	for i, m := range w.Mutations {
		m.Value, m.Refs = slices.Clone(m.Value), slices.Clone(m.Refs)
		applied.Mutations = append(applied.Mutations, m)
		if m.Kind == op.Delete {
			if _, there := tree[m.Path]; !there {
				r.Items[i].Code = op.NotFound
			}
			delete(tree, m.Path)
			r.Items[i].Version = 0
			continue
		}
		tree[m.Path] = op.Object{Path: m.Path, Version: r.Revision, Size: uint64(len(m.Value)), Value: m.Value, Refs: m.Refs}
		r.Items[i].Version = r.Revision
	}
	s.applied = append(s.applied, applied)
	return r
}

// read answers from the state; maxValue bytes of a value fit into an answer.
func (s *store) read(r *op.Read, maxValue int) op.ReadResult {
	tree := s.objects[r.Root]
	if r.Kind == op.List {
		return s.list(r, tree)
	}
	o, there := tree[r.Path]
	switch {
	case !there:
		return op.ReadResult{Code: op.NotFound, Revision: s.revisions[r.Root]}
	case r.Version != 0 && r.Version != o.Version:
		return op.ReadResult{Code: op.Conflict, Revision: s.revisions[r.Root]}
	}
	o.Value = o.Value[min(r.Offset, o.Size):]
	if len(o.Value) > maxValue {
		o.Value = o.Value[:maxValue]
	}
	return op.ReadResult{Code: op.OK, Revision: s.revisions[r.Root], Objects: []op.Object{o}}
}

func (s *store) list(r *op.Read, tree map[string]op.Object) op.ReadResult {
	res := op.ReadResult{Code: op.OK, Revision: s.revisions[r.Root]}
	paths := slices.Collect(maps.Keys(tree))
	sort.Strings(paths)
	limit := r.Limit
	if limit <= 0 || limit > op.MaxListPage {
		limit = op.MaxListPage
	}
	for _, p := range paths {
		if !strings.HasPrefix(p, r.Prefix) || !r.FromStart && p <= r.After {
			continue
		}
		if len(res.Objects) == limit {
			res.More = true
			break
		}
		o := tree[p]
		o.Value = nil
		res.Objects = append(res.Objects, o)
	}
	return res
}
