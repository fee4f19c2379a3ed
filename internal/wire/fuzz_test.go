package wire

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// healthy tells whether nothing of a request is malformed and all of it can be sent:
// elements cut out of their context may hold text that no stream can carry.
func healthy(el []byte, r *Request) bool {
	s := stanza.NewScanner(stanza.Limits{})
	st, n, err := s.Next(el)
	if err != nil || st == nil || n != len(el) {
		return false
	}
	for _, o := range r.Opens {
		if o.Bad != "" {
			return false
		}
	}
	for _, w := range r.Writes {
		if w.Bad != "" {
			return false
		}
	}
	for _, st := range r.Settles {
		if st.Bad != "" {
			return false
		}
	}
	for _, rd := range r.Reads {
		if rd.Bad != "" {
			return false
		}
	}
	return true
}

// allKinds is a request with each operation and each attribute.
func allKinds() *Request {
	text, low := op.Scalar{Kind: op.String, String: "b"}, op.Scalar{Kind: op.Number, Number: -1.5}
	return &Request{
		Epoch: 7, Time: 1790000000000,
		Writes: []Write{{Tag: 1, Partition: 2, Write: op.Write{Root: "r", Session: 3, Seq: 4, Floor: 1, RootCond: op.Condition{Kind: op.VersionIs, Version: 6}, Mutations: []op.Mutation{
			{Kind: op.Put, Path: "p", TTL: 60000, Value: []byte("v")}, {Kind: op.Add, Path: "n", Delta: -1}, {Kind: op.Check, Path: "c", Cond: op.Condition{Kind: op.Present}},
		}}}},
		Settles: []Settle{{Tag: 2, Partition: 2, Settle: op.Settle{Session: 3, Seq: 4}}},
		Reads: []Read{
			{Tag: 3, Read: op.Read{Kind: op.Get, Root: "r", Stale: true, MaxAge: 500}, With: 2},
			{Tag: 4, Read: op.Read{Kind: op.Scan, Prefix: "a", AfterRoot: "b", After: "c", RootsOnly: true, Values: true}},
			{Tag: 5, Read: op.Read{Kind: op.Query, Index: "i", From: &low, To: &text, Desc: true, Cursor: []byte("c"), Limit: 5}},
			{Tag: 6, Read: op.Read{Kind: op.Changes, Since: 9, Prefix: "p", Wait: 1000}},
			{Tag: 7, Read: op.Read{Kind: op.Changes, Root: "r", ByRevision: true, SinceRevision: 9}},
		},
		Cancels: []uint64{1, 1<<64 - 1},
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(AppendRequest(nil, manyWrites(2)))
	f.Add(AppendRequest(nil, &Request{Epoch: 1, Opens: []Open{{Tag: 1, Partition: 2}}, Reads: []Read{{Tag: 3, Read: op.Read{Kind: op.List, Root: "r", After: "&"}}}}))
	f.Add(AppendRequest(nil, allKinds()))
	f.Fuzz(func(t *testing.T, el []byte) {
		r, err := ParseRequest(el)
		if err != nil || !healthy(el, r) {
			return
		}
		again, err := ParseRequest(AppendRequest(nil, r))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v came back as %+v, %v", r, again, err)
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	f.Add(AppendResponse(nil, manyReplies(2)))
	f.Add(AppendResponse(nil, &Response{Reads: []ReadReply{{Tag: 1, ReadResult: op.ReadResult{Code: op.OK, More: true, Objects: []op.Object{{Path: "p", Size: 1, Value: []byte("v"), Refs: []op.Ref{{Root: "r"}}}}}}}}))
	f.Add(AppendResponse(nil, &Response{Time: 5, Writes: []WriteReply{{Tag: 1, WriteResult: op.WriteResult{Code: op.NotApplied, RetryAfter: 3, Items: []op.Item{{Code: op.OK, Count: -1}}}}}, Reads: []ReadReply{{Tag: 2, ReadResult: op.ReadResult{
		Code: op.OK, Position: 7, Time: 5, Events: []op.Event{{Kind: op.Left, Root: "r", Path: "p", Position: 7, Revision: 2, Superseded: true}},
		Objects: []op.Object{{Root: "r", Path: "p", Version: 1, Expires: 9, Key: op.Scalar{Kind: op.Number, Number: 1.5}, Cursor: []byte("c")}},
	}}}}))
	f.Fuzz(func(t *testing.T, el []byte) {
		r, err := ParseResponse(el)
		if err != nil || !healthy(el, &Request{}) {
			return
		}
		again, err := ParseResponse(AppendResponse(nil, r))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v came back as %+v, %v", r, again, err)
		}
	})
}

// FuzzAssembler feeds three parts of one sender; whatever comes out is one element.
func FuzzAssembler(f *testing.F) {
	p := Split([]byte("<a>"+string(bytes.Repeat([]byte("x"), 1500))+"</a>"), 1024, "i")
	f.Add(p[0], p[1], p[2])
	f.Add(p[1], p[0], p[0])
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		a := NewAssembler(4096, 2)
		for _, part := range [][]byte{one, two, three} {
			el, done, err := a.Add("s", part)
			if done != (el != nil) || done && err != nil || len(el) > 4096+3 {
				t.Fatalf("%q %v %v", el, done, err)
			}
			if done {
				if err := wellFormed(el); err != nil {
					t.Fatalf("%q: %v", el, err)
				}
			}
		}
		if len(a.senders) > 1 {
			t.Fatal("one sender became two")
		}
	})
}

// FuzzParseOthers: the small elements never hurt.
func FuzzParseOthers(f *testing.F) {
	f.Add(AppendRaft(nil, 1, "s", []byte("b")))
	f.Add(AppendHealth(nil, &Health{Member: 1, State: StateOK, Load: 0.5}))
	f.Add(AppendRing(nil, 7, []byte(`{"a":1}`)))
	f.Fuzz(func(_ *testing.T, el []byte) {
		_, _, _, _ = ParseRaft(nil, el)
		_, _ = ParseHealth(el)
		_, _, _ = ParseRing(el)
	})
}

// FuzzParseTerms: whatever can be read is written the same way again.
func FuzzParseTerms(f *testing.F) {
	f.Add(AppendTerms(nil, 2, []uint64{0, 99, 1<<64 - 1}))
	f.Add(AppendTerms(nil, 1<<64-1, nil))
	f.Add([]byte("<terms xmlns='" + NS + "' member='1'>1  2</terms>"))
	f.Fuzz(func(t *testing.T, el []byte) {
		member, numbers, err := ParseTerms(el, nil)
		if err != nil {
			return
		}
		if len(numbers) > MaxTerms {
			t.Fatalf("%d numbers", len(numbers))
		}
		again, same, err := ParseTerms(AppendTerms(nil, member, numbers), nil)
		if err != nil || again != member || !slices.Equal(same, numbers) {
			t.Fatalf("%d %v became %d %v, %v", member, numbers, again, same, err)
		}
	})
}
