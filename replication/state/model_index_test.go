package state

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// entry is an entry of an index in the model.
type modelEntry struct {
	value op.Scalar
	key   string
}

func compareScalars(a, b op.Scalar) int {
	flag := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(flag(a.Bool), flag(b.Bool)), cmp.Compare(a.Number, b.Number), cmp.Compare(a.String, b.String))
}

func (m *model) definition(name string) *ring.Index {
	for i := range m.indexes {
		if m.indexes[i].Name == name {
			return &m.indexes[i]
		}
	}
	return nil
}

// in tells what values an index has of an object.
func (x *modelIndex) in(key, value string) (list []op.Scalar) {
	root, path, _ := strings.Cut(key, "\x00")
	var v map[string]any
	if !strings.HasPrefix(root, x.Prefix) || x.Path != "*" && x.Path != path || json.Unmarshal([]byte(value), &v) != nil {
		return nil
	}
	at, ok := v[x.Field]
	if !ok {
		return nil
	}
	each, isArray := at.([]any)
	if !isArray {
		each = []any{at}
	}
	for _, e := range each {
		switch e := e.(type) {
		case nil:
			list = append(list, op.Scalar{Kind: op.Null})
		case bool:
			list = append(list, op.Scalar{Kind: op.Bool, Bool: e})
		case float64:
			list = append(list, op.Scalar{Kind: op.Number, Number: e})
		case string:
			list = append(list, op.Scalar{Kind: op.String, String: e})
		}
	}
	slices.SortFunc(list, compareScalars)
	return slices.Compact(list)
}

type modelIndex struct{ ring.Index }

// query answers a query of an index that is ready, without limit of bytes.
func (m *model) query(r *op.Read) op.ReadResult {
	res := op.ReadResult{Code: op.OK, Position: m.index, Time: m.logTime}
	x := modelIndex{*m.definition(r.Index)}
	var list []modelEntry
	for key := range m.objects {
		for _, v := range x.in(key, m.at(key).value) {
			if (r.From == nil || compareScalars(v, *r.From) >= 0) && (r.To == nil || compareScalars(v, *r.To) <= 0) {
				list = append(list, modelEntry{v, key})
			}
		}
	}
	slices.SortFunc(list, func(a, b modelEntry) int {
		n := cmp.Or(compareScalars(a.value, b.value), strings.Compare(a.key, b.key))
		if r.Desc {
			return -n
		}
		return n
	})
	for _, e := range list {
		o := m.at(e.key)
		root, path, _ := strings.Cut(e.key, "\x00")
		res.Objects = append(res.Objects, op.Object{Root: root, Path: path, Version: o.version, Size: uint64(len(o.value)), Expires: o.expires, Key: e.value})
	}
	return res
}

func (s *scenario) query() error {
	name := []string{"n", "t"}[s.intn(2)]
	for _, rep := range []*replica{s.a, s.b} {
		r := op.Read{Kind: op.Query, Index: name, Desc: s.intn(2) == 0, Limit: 1 + s.intn(4)}
		if s.intn(3) == 0 {
			r.From = &op.Scalar{Kind: op.Number, Number: float64(s.intn(3) - 1)}
		}
		if s.intn(3) == 0 {
			r.To = &op.Scalar{Kind: op.String, String: "x"}
		}
		first := r
		res := rep.part.Read(&r)
		if list, _ := rep.part.Indexes(); s.model.definition(name) == nil {
			if res.Code != op.NotFound {
				return fmt.Errorf("an index that is not: %+v", res)
			}
			continue
		} else if i := slices.IndexFunc(list, func(x IndexState) bool { return x.Name == name }); !list[i].Ready {
			if res.Code != op.Unavailable {
				return fmt.Errorf("an index in the making: %+v", res)
			}
			continue
		}
		all := res
		for all.More {
			r.Cursor = res.Objects[len(res.Objects)-1].Cursor
			res = rep.part.Read(&r)
			all.Objects, all.More = append(all.Objects, res.Objects...), res.More
		}
		for i := range all.Objects {
			all.Objects[i].Cursor = nil
		}
		if err := sameRead(all, s.model.query(&first)); err != nil {
			return fmt.Errorf("%+v: %w", first, err)
		}
	}
	return nil
}

// fits tells whether an index can be part of a document: numbers are never used
// twice, and names not at the same time.
func (m *model) fits(x *ring.Index, with []ring.Index, epoch uint64) bool {
	if epoch <= m.generation {
		return true // it is not taken over
	}
	for i := range with {
		if with[i].Name == x.Name {
			return false
		}
	}
	for i := range m.indexes {
		if m.indexes[i].ID == x.ID {
			return true
		}
	}
	if m.used == nil {
		m.used = make(map[uint32]bool)
	}
	if m.used[x.ID] {
		x.ID = uint32(len(m.used) + 10)
	}
	m.used[x.ID] = true
	return true
}
