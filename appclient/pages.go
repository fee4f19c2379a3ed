package appclient

import (
	"container/heap"
	"context"
	"iter"

	"github.com/rosterdb/rosterdb/internal/op"
)

// source is what one partition has to give to a list, a scan or a query, a page
// at a time.
type source struct {
	partition uint32
	ask       op.Read // of the next page
	asked     op.Read // of this page
	page      []op.Object
	next      int // in page
	more      bool
}

// objectRoom is about what an object takes in memory besides its value, in bytes.
const objectRoom = 256

// put takes in a page. Of its values it keeps as many as there is room for; urgent
// says that its first object's turn has come.
func (m *merge) put(s *source, res *op.ReadResult, urgent bool) {
	s.page, s.next, s.more = res.Objects, 0, res.More && len(res.Objects) > 0
	s.asked = s.ask
	size := 0
	for i := range s.page {
		size += len(s.page[i].Value)
	}
	if s.more {
		// The next pages of all together are to find room.
		share := m.c.room / (1 + m.all) / (objectRoom + size/len(s.page))
		s.ask.Limit = min(max(share, 1), m.limit)
	}
	m.held += size
	for i := range s.page {
		if m.held <= m.c.room || urgent && i == 0 {
			continue
		}
		m.held -= len(s.page[i].Value)
		s.page[i].Value = nil
	}
	if s.more {
		behind(&s.ask, &s.page[len(s.page)-1])
	}
}

// behind makes a read go on behind an object.
func behind(r *op.Read, o *op.Object) {
	if r.Kind == op.Query {
		r.Cursor = o.Cursor
		return
	}
	r.AfterRoot, r.After, r.FromStart = o.Root, o.Path, false
	if r.Kind == op.List {
		r.AfterRoot = ""
	}
}

// head is the object that comes next, nil at the end of the page.
func (s *source) head() *op.Object {
	if s.next == len(s.page) {
		return nil
	}
	return &s.page[s.next]
}

// merge gives the objects of sources in one order. It is a heap of those that
// have objects left.
type merge struct {
	c       *Client
	all     int // sources at first
	limit   int // most objects a page
	held    int // bytes of the values in the pages
	sources []*source
	compare func(a, b *op.Object) int
}

func (m *merge) Len() int           { return len(m.sources) }
func (m *merge) Less(i, j int) bool { return m.compare(m.sources[i].head(), m.sources[j].head()) < 0 }
func (m *merge) Swap(i, j int)      { m.sources[i], m.sources[j] = m.sources[j], m.sources[i] }
func (m *merge) Push(x any)         { m.sources = append(m.sources, x.(*source)) }

func (m *merge) Pop() any {
	last := len(m.sources) - 1
	s := m.sources[last]
	m.sources = m.sources[:last]
	return s
}

// everywhere asks all partitions.
func (c *Client) everywhere(ask op.Read, compare func(a, b *op.Object) int) *merge {
	m := &merge{c: c, compare: compare, limit: op.MaxListPage}
	for p := range c.engine.parts {
		m.sources = append(m.sources, &source{partition: uint32(p), ask: ask})
	}
	return m
}

// objects yields the objects of all sources in order. Those that asked for values
// come with their whole values. An error ends it.
func (m *merge) objects(ctx context.Context) iter.Seq2[*op.Object, error] {
	return func(yield func(*op.Object, error) bool) {
		if err := m.begin(ctx); err != nil {
			yield(nil, err)
			return
		}
		for len(m.sources) > 0 {
			s := m.sources[0]
			o := s.head()
			if s.ask.Values && uint64(len(o.Value)) < o.Size {
				switch whole, err := m.complete(ctx, s, o); {
				case err != nil:
					yield(nil, err)
					return
				case !whole: // the page was read anew
					if err := m.restore(ctx, s); err != nil {
						yield(nil, err)
						return
					}
					continue
				}
			}
			m.held -= len(o.Value)
			if !yield(o, nil) {
				return
			}
			s.next++
			if err := m.restore(ctx, s); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// begin fetches the first pages, all at the same time.
func (m *merge) begin(ctx context.Context) error {
	m.all = len(m.sources)
	calls := make([]*call, 0, len(m.sources))
	var failed error
	for _, s := range m.sources {
		q, err := m.c.startRead(s.ask, s.partition)
		if err != nil {
			failed = err
			break
		}
		calls = append(calls, q)
	}
	kept := m.sources[:0]
	for i, q := range calls {
		res, err := m.c.endRead(ctx, q)
		if err == nil {
			err = pageError(&res)
		}
		if err != nil && failed == nil {
			failed = err
		}
		if s := m.sources[i]; failed == nil {
			m.put(s, &res, false)
			if s.head() != nil {
				kept = append(kept, s)
			}
		}
	}
	m.sources = kept
	if failed == nil {
		heap.Init(m)
	}
	return failed
}

// restore puts the first source into its place, with another page if it is at
// its end.
func (m *merge) restore(ctx context.Context, s *source) error {
	if s.head() == nil && s.more {
		if err := m.fetch(ctx, s); err != nil {
			return err
		}
	}
	if s.head() == nil {
		heap.Pop(m)
	} else {
		heap.Fix(m, 0)
	}
	return nil
}

// fetch reads the page that s asks for.
func (m *merge) fetch(ctx context.Context, s *source) error {
	res, err := m.c.read(ctx, s.ask, s.partition)
	if err == nil {
		err = pageError(&res)
	}
	if err == nil {
		m.put(s, &res, true)
	}
	return err
}

// complete fetches what is missing of the first object's value. If there was no
// room for it in the page, or the object has changed, the page is read anew from
// there on: then it returns false.
func (m *merge) complete(ctx context.Context, s *source, o *op.Object) (whole bool, err error) {
	root := o.Root
	if s.ask.Kind == op.List {
		root = s.ask.Root
	}
	if s.next == 0 {
		got := &Object{Path: o.Path, Version: o.Version, Value: o.Value[:len(o.Value):len(o.Value)]}
		ask := op.Read{Kind: op.Get, Root: root, Path: o.Path, Stale: s.ask.Stale, MaxAge: s.ask.MaxAge}
		whole, err = m.c.Root(root).rest(ctx, ask, got, o.Size)
		if whole || err != nil {
			m.held += len(got.Value) - len(o.Value)
			o.Value = got.Value
			return whole, err
		}
	}
	for i := s.next; i < len(s.page); i++ {
		m.held -= len(s.page[i].Value)
	}
	again := s.asked
	if s.next > 0 {
		behind(&again, &s.page[s.next-1])
	}
	s.ask = again
	return false, m.fetch(ctx, s)
}

func pageError(res *op.ReadResult) error {
	switch res.Code {
	case op.OK:
		return nil
	case op.NotFound:
		return refusalOf(ErrNotFound, res.Text)
	}
	return nonsense(res)
}

// startRead sends a read on its way; endRead waits for it.
func (c *Client) startRead(ask op.Read, partition uint32) (*call, error) {
	e := c.engine
	q := e.pool.Get().(*call)
	q.kind, q.read = readCall, ask
	if err := e.submit(q, partition); err != nil {
		e.recycle(q)
		return nil, err
	}
	return q, nil
}

func (c *Client) endRead(ctx context.Context, q *call) (op.ReadResult, error) {
	err := c.engine.wait(ctx, q)
	res := q.rres
	c.engine.recycle(q)
	return res, err
}
