package appclienttest

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// read answers from the state.
func (s *store) read(partition uint32, q *op.Read) op.ReadResult {
	if err := q.Check(); err != nil {
		return op.ReadResult{Code: op.Invalid, Text: err.Error()}
	}
	p := s.parts[partition]
	s.expire(p)
	res := op.ReadResult{Code: op.OK, Position: p.position, Time: s.now()}
	r := p.roots[q.Root]
	if r != nil {
		res.Revision = r.revision
	}
	switch q.Kind {
	case op.Get:
		s.get(q, r, &res)
	case op.List:
		if r != nil {
			all := slices.Collect(maps.Values(r.objects))
			slices.SortFunc(all, func(a, b op.Object) int { return cmp.Compare(a.Path, b.Path) })
			s.page(q, &res, all, func(o *op.Object) bool {
				return strings.HasPrefix(o.Path, q.Prefix) && (q.FromStart || o.Path > q.After)
			})
		}
	case op.Scan:
		s.scan(p, q, &res)
	case op.Query:
		s.query(p, q, &res)
	case op.Changes:
		s.changes(p, q, &res)
	}
	return res
}

func (s *store) get(q *op.Read, r *root, res *op.ReadResult) {
	var o op.Object
	there := false
	if r != nil {
		o, there = r.objects[q.Path]
	}
	switch {
	case !there:
		res.Code = op.NotFound
		return
	case q.Version != 0 && q.Version != o.Version:
		res.Code = op.Conflict
		return
	}
	o.Value = o.Value[min(q.Offset, o.Size):]
	if q.Offset > 0 {
		o.Refs = nil
	}
	if s.room -= wire.ObjectSize(&o); s.room < 0 {
		res.Code, res.Text = op.TooLarge, "the references do not fit into an answer"
		return
	}
	o.Value = s.fit(o.Value)
	res.Objects = []op.Object{o}
}

// page fills in the objects that are wanted, with as many of their values as fit.
func (s *store) page(q *op.Read, res *op.ReadResult, all []op.Object, wanted func(*op.Object) bool) {
	limit := q.Limit
	if limit <= 0 {
		limit = op.MaxListPage
	}
	for i := range all {
		if !wanted(&all[i]) {
			continue
		}
		if len(res.Objects) == limit {
			res.More = true
			return
		}
		o := all[i]
		if !q.Values {
			o.Value, o.Refs = nil, nil
		}
		o.Value = s.fit(o.Value)
		res.Objects = append(res.Objects, o)
	}
}

// fit cuts a value to the room that is left in the answer.
func (s *store) fit(value []byte) []byte {
	value = value[:min(len(value), s.room)]
	s.room -= len(value)
	return value
}

// scan gives the objects of all roots, or only the roots.
func (s *store) scan(p *part, q *op.Read, res *op.ReadResult) {
	var all []op.Object
	for name, r := range p.roots {
		if q.RootsOnly {
			if len(r.objects) > 0 {
				o := r.objects[""]
				o.Root = name
				all = append(all, o)
			}
			continue
		}
		for _, o := range r.objects {
			o.Root = name
			all = append(all, o)
		}
	}
	slices.SortFunc(all, byName)
	after := op.Object{Root: q.AfterRoot, Path: q.After}
	s.page(q, res, all, func(o *op.Object) bool {
		return strings.HasPrefix(o.Root, q.Prefix) && (q.FromStart || byName(*o, after) > 0)
	})
}

func byName(a, b op.Object) int {
	return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.Path, b.Path))
}

// changes gives the events behind a position or a revision. A page ends between two
// positions, unless batches are to be cut.
func (s *store) changes(p *part, q *op.Read, res *op.ReadResult) {
	if q.Since < p.floor && !q.ByRevision || q.ByRevision && s.forgotten(p, q) {
		res.Code = op.Compacted
		return
	}
	if q.Index != "" && (s.index(q.Index) == nil || p.unheard == q.Index) {
		res.Code, res.Text = op.NotFound, "there is no such index"
		return
	}
	if q.Index != "" && q.Since < p.heard {
		res.Code = op.Compacted
		return
	}
	limit := q.Limit
	if limit <= 0 {
		limit = op.MaxListPage
	}
	skip := q.Skip
	for i := range p.events {
		e := &p.events[i]
		if !q.ByRevision && e.Position <= q.Since || !watched(q, e) {
			continue
		}
		if first := q.ByRevision && e.Revision == q.SinceRevision+1 || !q.ByRevision && e.Position == q.Since+1; first && skip > 0 {
			skip--
			continue
		}
		if n := len(res.Events); n >= limit && (s.cut || res.Events[n-1].Position != e.Position) {
			res.More, res.Position = true, e.Position-1
			return
		}
		res.Events = append(res.Events, s.show(p, q, e))
	}
}

// forgotten says whether events of a root behind a revision are not there any more.
func (s *store) forgotten(p *part, q *op.Read) bool {
	r := p.roots[q.Root]
	if r == nil || q.SinceRevision >= r.revision {
		return false
	}
	return !slices.ContainsFunc(p.events, func(e event) bool { return e.Root == q.Root && e.Revision == q.SinceRevision+1 })
}

// watched says whether a read for changes is about an event.
func watched(q *op.Read, e *event) bool {
	switch {
	case q.Index != "":
		return slices.Contains(e.before, q.Index) || slices.Contains(e.after, q.Index)
	case q.Root != "":
		return e.Root == q.Root && strings.HasPrefix(e.Path, q.Prefix) && (!q.ByRevision || e.Revision > q.SinceRevision)
	}
	return strings.HasPrefix(e.Root, q.Prefix)
}

// show gives an event as a reader sees it, with its value if the object still has it.
func (s *store) show(p *part, q *op.Read, e *event) op.Event {
	out := e.Event
	if out.Kind == op.Written && q.Index != "" && !slices.Contains(e.after, q.Index) {
		out.Kind = op.Left
		return out
	}
	if out.Kind != op.Written {
		return out
	}
	o, there := p.roots[out.Root].objects[out.Path]
	if !there || o.Version != out.Revision {
		out.Superseded, out.Size = true, 0
		return out
	}
	if q.Values {
		out.Value = s.fit(o.Value)
	}
	return out
}
