package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// scanAll reads all pages of a scan, as a client does.
func scanAll(t *testing.T, p *Partition, r op.Read) (objects []op.Object) {
	t.Helper()
	r.Kind, r.FromStart = op.Scan, true
	for {
		res := p.Read(&r)
		if res.Code != op.OK || res.More && len(res.Objects) == 0 {
			t.Fatalf("%+v: %+v", r, res)
		}
		objects = append(objects, res.Objects...)
		if !res.More {
			return objects
		}
		last := objects[len(objects)-1]
		r.FromStart, r.AfterRoot, r.After = false, last.Root, last.Path
	}
}

// TestScanThroughDeletions: where more has been deleted than a look takes in, a
// page goes on behind it.
func TestScanThroughDeletions(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	seq := uint64(0)
	each := func(kind op.MutKind, from, to int) {
		for i := from; i < to; i++ {
			seq++
			w := &op.Write{Root: fmt.Sprintf("r%05d", i), Session: s, Seq: seq, Floor: seq, Mutations: []op.Mutation{{Kind: kind, Path: "a"}, {Kind: kind, Path: "b"}}}
			if r := f.apply(EncodeWrite(nil, 0, app, w)); r.Code != op.OK {
				t.Fatalf("%+v", r)
			}
		}
	}
	const n = 4 * atLeast
	each(op.Put, 0, n)
	if err := f.p.store.Flush(); err != nil {
		t.Fatal(err)
	}
	each(op.Delete, 10, n-10)
	each(op.Put, n, n+10)
	for _, limit := range []int{0, 7} {
		if got := scanAll(t, f.p, op.Read{Limit: limit}); len(got) != 60 || got[59].Root != fmt.Sprintf("r%05d", n+9) {
			t.Errorf("limit %d: %d objects", limit, len(got))
		}
		if got := scanAll(t, f.p, op.Read{Limit: limit, RootsOnly: true}); len(got) != 30 || got[0].Path != "" || got[0].Version != 0 {
			t.Errorf("limit %d: %d roots", limit, len(got))
		}
	}
}

// TestPagesWithValues: a value ends the page in front of it, or is cut if it is
// the first.
func TestPagesWithValues(t *testing.T) {
	f := newFeed(t, Options{MaxReadBytes: 100})
	s := f.open()
	for i, size := range []int{30, 30, 500, 10, 90} {
		f.put(s, uint64(i+1), 1, fmt.Sprint(i), strings.Repeat("v", size))
	}
	var pages []int
	got := 0
	r := op.Read{Kind: op.List, Root: "root", FromStart: true, Values: true}
	for more := true; more; r.FromStart = false {
		res := f.p.Read(&r)
		for _, o := range res.Objects {
			if uint64(len(o.Value)) != o.Size && (len(res.Objects) > 1 || len(o.Value) != 100) {
				t.Errorf("object of %d bytes has %d in a page of %d", o.Size, len(o.Value), len(res.Objects))
			}
			r.After = o.Path
			got++
		}
		pages, more = append(pages, len(res.Objects)), res.More
	}
	if got != 5 || len(pages) != 4 {
		t.Errorf("%d objects in pages of %v", got, pages)
	}
}
