// Package linearizability checks histories of store operations with porcupine:
// is there an order of the operations, consistent with when each was asked and
// answered, in which a single-threaded store gives the same answers? Because
// every write bumps its root's revision and answers with it, an operation that
// took effect twice, or never, has no such order either.
package linearizability

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Operation is one operation of a history. Exactly one of Write and Read is set.
type Operation struct {
	Client int
	Call   int64 // when it was asked
	Return int64 // when it was answered; for an unknown outcome it is ignored

	Write       *op.Write
	WriteResult op.WriteResult
	Read        *op.Read // Get of a whole value, or List of a whole root
	ReadResult  op.ReadResult
	// Unknown: the client never learned the outcome of the write. It may take
	// effect at any time from Call on, or never.
	Unknown bool
}

// ErrUndecided tells that the time did not suffice to find an order or to
// exclude that there is one.
var ErrUndecided = errors.New("linearizability was not decided in time")

// Check looks for a legal order. Operations that surely had no effect must not
// be in the history. Errors: ErrUndecided after the timeout, or a description of
// the violation.
func Check(history []Operation, timeout time.Duration) error {
	byRoot := make(map[string][]porcupine.Operation)
	for i := range history {
		o := &history[i]
		ret := o.Return
		if o.Unknown {
			ret = math.MaxInt64
		}
		root := o.root()
		byRoot[root] = append(byRoot[root], porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Output: o, Return: ret})
	}
	roots := make([]string, 0, len(byRoot))
	for root := range byRoot {
		roots = append(roots, root)
	}
	slices.Sort(roots)
	for _, root := range roots {
		switch porcupine.CheckOperationsTimeout(model(), byRoot[root], timeout) {
		case porcupine.Illegal:
			return fmt.Errorf("history of root %q is not linearizable:\n%s", root, describe(history, root))
		case porcupine.Unknown:
			return fmt.Errorf("root %q: %w", root, ErrUndecided)
		}
	}
	return nil
}

func (o *Operation) root() string {
	if o.Write != nil {
		return o.Write.Root
	}
	return o.Read.Root
}

// rootState is one root; objects are in the order of their paths.
type rootState struct {
	revision uint64
	objects  []object
}

type object struct {
	path    string
	version uint64
	value   []byte
}

func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return &rootState{} },
		Step: func(state, input, _ any) (bool, any) { return state.(*rootState).step(input.(*Operation)) },
		Equal: func(a, b any) bool {
			x, y := a.(*rootState), b.(*rootState)
			return x.revision == y.revision && slices.EqualFunc(x.objects, y.objects, func(p, q object) bool {
				return p.version == q.version && p.path == q.path && bytes.Equal(p.value, q.value)
			})
		},
		DescribeOperation: func(input, _ any) string { return input.(*Operation).String() },
	}
}

func (s *rootState) step(o *Operation) (bool, *rootState) {
	if o.Read != nil {
		return s.answers(o), s
	}
	next, items := s.write(o.Write)
	if o.Unknown {
		return true, next
	}
	res := &o.WriteResult
	code := op.OK
	if next == s {
		code = op.Conflict
	}
	ok := res.Code == code && res.Revision == next.revision && slices.Equal(items, res.Items)
	return ok, next
}

// write applies a batch; it returns s itself when a condition fails.
func (s *rootState) write(w *op.Write) (*rootState, []op.Item) {
	items := make([]op.Item, len(w.Mutations))
	refused := false
	for i, m := range w.Mutations {
		items[i] = s.before(&m)
		refused = refused || items[i].Code != op.OK
	}
	if refused {
		return s, items
	}
	next := &rootState{revision: s.revision + 1, objects: slices.Clone(s.objects)}
	for i, m := range w.Mutations {
		j, found := next.find(m.Path)
		switch {
		case m.Kind == op.Put && found:
			next.objects[j] = object{path: m.Path, version: next.revision, value: m.Value}
			items[i].Version = next.revision
		case m.Kind == op.Put:
			next.objects = slices.Insert(next.objects, j, object{path: m.Path, version: next.revision, value: m.Value})
			items[i].Version = next.revision
		case m.Kind == op.Add:
			if !found {
				next.objects = slices.Insert(next.objects, j, object{path: m.Path})
			}
			items[i].Version, items[i].Count = next.revision, items[i].Count+m.Delta
			next.objects[j].version, next.objects[j].value = next.revision, strconv.AppendInt(nil, items[i].Count, 10)
		case found:
			next.objects = slices.Delete(next.objects, j, j+1)
			items[i].Version = 0
		default:
			items[i].Code = op.NotFound
		}
	}
	return next, items
}

// before is what a batch finds for a mutation: whether its condition holds, and for
// an Add the counter, which must be one and have room for the sum.
func (s *rootState) before(m *op.Mutation) op.Item {
	item := op.Item{Code: op.OK}
	j, found := s.find(m.Path)
	if found {
		item.Version = s.objects[j].version
	}
	if !holds(m.Cond, item.Version) {
		item.Code = op.Conflict
	}
	if m.Kind != op.Add || !found {
		return item
	}
	var err error
	item.Count, err = strconv.ParseInt(string(s.objects[j].value), 10, 64)
	if sum := item.Count + m.Delta; err != nil || m.Delta > 0 && sum < item.Count || m.Delta < 0 && sum > item.Count {
		item.Code = op.Invalid
	}
	if err != nil {
		item.Count = 0
	}
	return item
}

func holds(c op.Condition, version uint64) bool {
	switch c.Kind {
	case op.Absent:
		return version == 0
	case op.Present:
		return version != 0
	case op.VersionIs:
		return version == c.Version
	}
	return true
}

func (s *rootState) find(path string) (int, bool) {
	return slices.BinarySearchFunc(s.objects, path, func(o object, path string) int { return strings.Compare(o.path, path) })
}

// answers tells whether a read's result is what this state says.
func (s *rootState) answers(o *Operation) bool {
	res := &o.ReadResult
	if res.Revision != s.revision {
		return false
	}
	if o.Read.Kind == op.List {
		return slices.EqualFunc(s.objects, res.Objects, func(a object, b op.Object) bool {
			return a.path == b.Path && a.version == b.Version
		})
	}
	i, found := s.find(o.Read.Path)
	if !found {
		return res.Code == op.NotFound
	}
	want := s.objects[i]
	return res.Code == op.OK && len(res.Objects) == 1 && res.Objects[0].Version == want.version && bytes.Equal(res.Objects[0].Value, want.value)
}

// String describes the operation for people.
func (o *Operation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "client %d [%d, %d] ", o.Client, o.Call, o.Return)
	if o.Read != nil {
		fmt.Fprintf(&b, "read kind %d %q -> code %d rev %d", o.Read.Kind, o.Read.Path, o.ReadResult.Code, o.ReadResult.Revision)
		for _, obj := range o.ReadResult.Objects {
			fmt.Fprintf(&b, " %s@%d=%.20q", obj.Path, obj.Version, obj.Value)
		}
		return b.String()
	}
	fmt.Fprintf(&b, "write (%d, %d)", o.Write.Session, o.Write.Seq)
	for _, m := range o.Write.Mutations {
		fmt.Fprintf(&b, " kind %d %s=%.20q%+d if %d/%d", m.Kind, m.Path, m.Value, m.Delta, m.Cond.Kind, m.Cond.Version)
	}
	if o.Unknown {
		b.WriteString(" -> unknown")
	} else {
		fmt.Fprintf(&b, " -> code %d rev %d %v", o.WriteResult.Code, o.WriteResult.Revision, o.WriteResult.Items)
	}
	return b.String()
}

func describe(history []Operation, root string) string {
	var b strings.Builder
	for i := range history {
		if history[i].root() == root {
			fmt.Fprintln(&b, history[i].String())
		}
	}
	return b.String()
}
