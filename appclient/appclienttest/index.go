package appclienttest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

func (s *store) index(name string) *ring.Index {
	for i := range s.indexes {
		if s.indexes[i].Name == name {
			return &s.indexes[i]
		}
	}
	return nil
}

// keysOf names the indexes that hold an object.
func (s *store) keysOf(root string, o *op.Object) (names []string) {
	for i := range s.indexes {
		if o.Version != 0 && len(keys(&s.indexes[i], root, o)) > 0 {
			names = append(names, s.indexes[i].Name)
		}
	}
	return names
}

// keys returns the values of the indexed field, each once.
func keys(ix *ring.Index, root string, o *op.Object) (out []op.Scalar) {
	if !strings.HasPrefix(root, ix.Prefix) || ix.Path != "*" && ix.Path != o.Path {
		return nil
	}
	var v any
	if json.Unmarshal(o.Value, &v) != nil {
		return nil
	}
	for name := range strings.SplitSeq(ix.Field, ".") {
		m, is := v.(map[string]any)
		if !is {
			return nil
		}
		if v, is = m[name]; !is {
			return nil
		}
	}
	list, is := v.([]any)
	if !is {
		list = []any{v}
	}
	for _, v := range list {
		k, ok := scalar(v)
		if ok && k.Indexable() && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

func scalar(v any) (op.Scalar, bool) {
	switch v := v.(type) {
	case nil:
		return op.Scalar{Kind: op.Null}, true
	case bool:
		return op.Scalar{Kind: op.Bool, Bool: v}, true
	case float64:
		return op.Scalar{Kind: op.Number, Number: v}, true
	case string:
		return op.Scalar{Kind: op.String, String: v}, true
	}
	return op.Scalar{}, false
}

// cursor is where a page of a query ends.
type cursor struct {
	Key        op.Scalar
	Root, Path string
}

func (s *store) query(p *part, q *op.Read, res *op.ReadResult) {
	ix := s.index(q.Index)
	if ix == nil || p.unheard == q.Index {
		res.Code, res.Text = op.NotFound, "there is no such index"
		return
	}
	var all []op.Object
	for name, r := range p.roots {
		for _, o := range r.objects {
			o.Root = name
			for _, o.Key = range keys(ix, name, &o) {
				o.Cursor, _ = json.Marshal(cursor{o.Key, o.Root, o.Path}) //nolint:errchkjson // plain values
				all = append(all, o)
			}
		}
	}
	direction := 1
	if q.Desc {
		direction = -1
	}
	order := func(a, b op.Object) int {
		return direction * cmp.Or(compareKeys(a.Key, b.Key), byName(a, b))
	}
	slices.SortFunc(all, order)
	var from *op.Object
	if len(q.Cursor) > 0 {
		var c cursor
		if json.NewDecoder(bytes.NewReader(q.Cursor)).Decode(&c) != nil {
			res.Code, res.Text = op.Invalid, "that is no cursor"
			return
		}
		from = &op.Object{Key: c.Key, Root: c.Root, Path: c.Path}
	}
	s.page(q, res, all, func(o *op.Object) bool {
		return (q.From == nil || compareKeys(o.Key, *q.From) >= 0) &&
			(q.To == nil || compareKeys(o.Key, *q.To) <= 0) &&
			(from == nil || order(*o, *from) > 0)
	})
}

func compareKeys(a, b op.Scalar) int {
	rank := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(rank(a.Bool), rank(b.Bool)), cmp.Compare(a.Number, b.Number), cmp.Compare(a.String, b.String))
}
