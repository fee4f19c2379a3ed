package appclienttest

import (
	"math"
	"slices"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/op"
)

// apply applies a batch, or refuses it for a condition.
func (s *store) apply(p *part, w *op.Write) op.WriteResult {
	expired := s.expire(p)
	r := p.roots[w.Root]
	if r == nil {
		r = &root{objects: make(map[string]op.Object)}
	}
	res := op.WriteResult{Code: op.OK, Revision: r.revision, Items: make([]op.Item, len(w.Mutations))}
	counts := make([]int64, len(w.Mutations))
	for i := range w.Mutations {
		m := &w.Mutations[i]
		o, there := r.objects[m.Path]
		ok := m.Cond.Holds(o.Version)
		res.Items[i] = op.Item{Code: op.OK, Version: o.Version}
		if m.Kind == op.Add {
			count, isCounter := number(o.Value, there)
			res.Items[i].Count = count
			counts[i] = count + m.Delta
			if !isCounter || !fits(count, m.Delta) {
				res.Code, res.Items[i].Code = op.Conflict, op.Invalid
			}
		}
		if !ok {
			res.Code, res.Items[i].Code = op.Conflict, op.Conflict
		}
	}
	if w.RootCond.Kind == op.VersionIs && w.RootCond.Version != r.revision {
		res.Code = op.Conflict
	}
	if res.Code == op.Conflict || onlyChecks(w) {
		return res
	}
	p.roots[w.Root] = r
	r.revision++
	if !expired { // what has expired is removed in the same entry
		p.position++
	}
	res.Revision = r.revision
	applied := Applied{Root: w.Root}
	for i := range w.Mutations {
		applied.Mutations = append(applied.Mutations, s.mutate(p, r, w.Root, w.Mutations[i], counts[i], &res.Items[i]))
	}
	s.applied = append(s.applied, applied)
	p.wake()
	return res
}

// mutate does one mutation of a batch.
func (s *store) mutate(p *part, r *root, name string, m op.Mutation, count int64, item *op.Item) op.Mutation {
	m.Value, m.Refs = slices.Clone(m.Value), slices.Clone(m.Refs)
	old, there := r.objects[m.Path]
	before := s.keysOf(name, &old)
	ev := op.Event{Kind: op.Written, Root: name, Path: m.Path, Position: p.position, Revision: r.revision}
	switch m.Kind {
	case op.Check:
		return m
	case op.Delete:
		if !there {
			item.Code = op.NotFound
			return m
		}
		delete(r.objects, m.Path)
		item.Version = 0
		ev.Kind = op.Deleted
		p.tell(ev, before, nil)
		return m
	}
	o := op.Object{Path: m.Path, Version: r.revision, Value: m.Value, Refs: m.Refs}
	if m.Kind == op.Add {
		o.Value, o.Refs, o.Expires = strconv.AppendInt(nil, count, 10), old.Refs, old.Expires
		item.Count = count
	} else if m.TTL > 0 {
		o.Expires = s.now() + m.TTL
	}
	o.Size = uint64(len(o.Value))
	r.objects[m.Path] = o
	item.Version = r.revision
	ev.Size = o.Size
	p.tell(ev, before, s.keysOf(name, &o))
	return m
}

// number is a counter's value.
func number(value []byte, there bool) (int64, bool) {
	if !there {
		return 0, true
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil
}

func fits(a, b int64) bool {
	if b > 0 {
		return a <= math.MaxInt64-b
	}
	return a >= math.MinInt64-b
}

func onlyChecks(w *op.Write) bool {
	return !slices.ContainsFunc(w.Mutations, func(m op.Mutation) bool { return m.Kind != op.Check })
}
