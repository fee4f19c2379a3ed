package wire

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// accepted scans el as a server would.
func accepted(t *rapid.T, el []byte) {
	s := stanza.NewScanner(stanza.Limits{MaxStanza: 1 << 22, MaxAttrs: 64})
	st, n, err := s.Next(el)
	if err != nil || st == nil || n != len(el) {
		t.Fatalf("scanner: %v (%d of %d bytes) %.200q", err, n, len(el), el)
	}
}

func key(t *rapid.T, label string) string {
	return rapid.StringMatching(`[a-zäß<>&'" /.]{0,20}`).Draw(t, label)
}

func value(t *rapid.T) []byte {
	b := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "value")
	if len(b) == 0 {
		return nil
	}
	return b
}

func refs(t *rapid.T) (out []op.Ref) {
	for range rapid.IntRange(0, 2).Draw(t, "refs") {
		out = append(out, op.Ref{Root: key(t, "root"), Path: key(t, "path")})
	}
	return out
}

func u(t *rapid.T, label string) uint64 { return rapid.Uint64().Draw(t, label) }

func mutation(t *rapid.T) op.Mutation {
	m := op.Mutation{Kind: op.MutKind(rapid.IntRange(int(op.Put), int(op.Check)).Draw(t, "kind")), Path: key(t, "path")}
	m.Cond.Kind = op.CondKind(rapid.IntRange(0, 3).Draw(t, "cond"))
	if m.Cond.Kind == op.VersionIs {
		m.Cond.Version = u(t, "version")
	}
	if m.Kind == op.Add {
		m.Delta = rapid.Int64().Draw(t, "delta")
	}
	m.TTL = natural(t, "ttl")
	m.Value, m.Refs = value(t), refs(t)
	return m
}

// natural draws a number that is not negative, rarely a small one.
func natural(t *rapid.T, label string) int64 { return rapid.Int64Min(0).Draw(t, label) }

func scalar(t *rapid.T) op.Scalar {
	s := op.Scalar{Kind: op.ScalarKind(rapid.IntRange(int(op.Null), int(op.String)).Draw(t, "scalar"))}
	switch s.Kind {
	case op.Bool:
		s.Bool = rapid.Bool().Draw(t, "bool")
	case op.Number:
		s.Number = rapid.Float64().Draw(t, "number")
	case op.String:
		s.String = key(t, "string")
	}
	return s
}

func bound(t *rapid.T) *op.Scalar {
	if rapid.Bool().Draw(t, "none") {
		return nil
	}
	s := scalar(t)
	return &s
}

func read(t *rapid.T) op.Read {
	flag := func(label string) bool { return rapid.Bool().Draw(t, label) }
	q := op.Read{Kind: op.ReadKind(rapid.IntRange(int(op.Get), int(op.Changes)).Draw(t, "kind"))}
	if q.Stale = flag("stale"); q.Stale {
		q.MaxAge = natural(t, "age")
	}
	if q.Kind == op.Get {
		q.Root, q.Path, q.Offset, q.Version = key(t, "root"), key(t, "path"), u(t, "o"), u(t, "v")
		return q
	}
	q.Limit, q.Values = rapid.IntRange(0, op.MaxListPage).Draw(t, "limit"), flag("values")
	switch q.Kind {
	case op.List:
		q.Root, q.Prefix = key(t, "root"), key(t, "prefix")
		if q.FromStart = flag("start"); !q.FromStart {
			q.After = key(t, "after")
		}
	case op.Scan:
		q.Prefix, q.RootsOnly = key(t, "prefix"), flag("roots")
		if q.FromStart = flag("start"); !q.FromStart {
			q.AfterRoot, q.After = key(t, "root"), key(t, "after")
		}
	case op.Query:
		q.Index, q.Desc, q.Cursor, q.From, q.To = key(t, "index"), flag("desc"), value(t), bound(t), bound(t)
	case op.Changes:
		q.Root, q.Prefix, q.Index, q.Wait = key(t, "root"), key(t, "prefix"), key(t, "index"), natural(t, "wait")
		q.Skip = rapid.IntRange(0, 3).Draw(t, "skip")
		if q.ByRevision = flag("revision"); q.ByRevision {
			q.SinceRevision = u(t, "revision")
		} else {
			q.Since = u(t, "since")
		}
	}
	return q
}

func TestRequestRoundTrip(t *testing.T) {
	partition := func(t *rapid.T) uint32 { return rapid.Uint32().Draw(t, "p") }
	rapid.Check(t, func(t *rapid.T) {
		r := &Request{Epoch: u(t, "epoch"), Time: natural(t, "time")}
		for range rapid.IntRange(0, 2).Draw(t, "opens") {
			r.Opens = append(r.Opens, Open{Tag: u(t, "tag"), Partition: partition(t)})
		}
		for range rapid.IntRange(0, 3).Draw(t, "writes") {
			w := Write{Tag: u(t, "tag"), Partition: partition(t), Write: op.Write{Root: key(t, "root"), Session: op.Session(u(t, "s")), Seq: u(t, "q"), Floor: u(t, "f")}}
			if rapid.Bool().Draw(t, "if") {
				w.RootCond = op.Condition{Kind: op.VersionIs, Version: u(t, "if-revision")}
			}
			for range rapid.IntRange(1, 3).Draw(t, "mutations") {
				w.Mutations = append(w.Mutations, mutation(t))
			}
			r.Writes = append(r.Writes, w)
		}
		for range rapid.IntRange(0, 2).Draw(t, "settles") {
			r.Settles = append(r.Settles, Settle{Tag: u(t, "tag"), Partition: partition(t), Settle: op.Settle{Session: op.Session(u(t, "s")), Seq: u(t, "q")}})
		}
		for range rapid.IntRange(0, 2).Draw(t, "reads") {
			r.Reads = append(r.Reads, Read{Tag: u(t, "tag"), Partition: partition(t), Read: read(t)})
		}
		for range rapid.IntRange(0, 2).Draw(t, "cancels") {
			r.Cancels = append(r.Cancels, u(t, "tag"))
		}
		el := AppendRequest(nil, r)
		accepted(t, el)
		got, err := ParseRequest(el)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%v\n%+v\nwant\n%+v\n%s", err, got, r, el)
		}
	})
}

func object(t *rapid.T) op.Object {
	o := op.Object{Root: key(t, "root"), Path: key(t, "path"), Version: u(t, "v"), Size: u(t, "size"), Expires: natural(t, "expires"), Value: value(t), Refs: refs(t)}
	if rapid.Bool().Draw(t, "found") {
		o.Key, o.Cursor = scalar(t), value(t)
	}
	return o
}

func event(t *rapid.T) op.Event {
	return op.Event{
		Kind: op.EventKind(rapid.IntRange(int(op.Written), int(op.Left)).Draw(t, "kind")), Root: key(t, "root"), Path: key(t, "path"),
		Position: u(t, "position"), Revision: u(t, "r"), Superseded: rapid.Bool().Draw(t, "superseded"), Size: u(t, "size"), Value: value(t),
	}
}

func TestResponseRoundTrip(t *testing.T) {
	code := func(t *rapid.T) op.Code {
		return op.Code(rapid.IntRange(int(op.OK), int(op.Overloaded)).Draw(t, "code"))
	}
	rapid.Check(t, func(t *rapid.T) {
		r := &Response{Epoch: u(t, "epoch"), Time: natural(t, "time")}
		for range rapid.IntRange(0, 3).Draw(t, "writes") {
			w := WriteReply{Tag: u(t, "tag"), WriteResult: op.WriteResult{
				Code: code(t), Revision: u(t, "r"), Session: op.Session(u(t, "s")), RetryAfter: natural(t, "after"), Leader: key(t, "leader"), Text: key(t, "text"),
			}}
			for range rapid.IntRange(0, 2).Draw(t, "items") {
				w.Items = append(w.Items, op.Item{Code: code(t), Version: u(t, "v"), Count: rapid.Int64().Draw(t, "count")})
			}
			r.Writes = append(r.Writes, w)
		}
		for range rapid.IntRange(0, 2).Draw(t, "reads") {
			rd := ReadReply{Tag: u(t, "tag"), ReadResult: op.ReadResult{
				Code: code(t), Revision: u(t, "r"), Position: u(t, "p"), Time: natural(t, "time"), RetryAfter: natural(t, "after"),
				Expiring: rapid.Bool().Draw(t, "expiring"),
				More:     rapid.Bool().Draw(t, "more"), Text: key(t, "text"),
			}}
			for range rapid.IntRange(0, 2).Draw(t, "objects") {
				rd.Objects = append(rd.Objects, object(t))
			}
			for range rapid.IntRange(0, 2).Draw(t, "events") {
				rd.Events = append(rd.Events, event(t))
			}
			r.Reads = append(r.Reads, rd)
		}
		el := AppendResponse(nil, r)
		accepted(t, el)
		got, err := ParseResponse(el)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%v\n%+v\nwant\n%+v", err, got, r)
		}
	})
}

func TestRaftHealthAndRingRoundTrip(t *testing.T) {
	el := AppendRaft(nil, 3, "store-uuid", []byte{0, 1, 255})
	if from, store, b, err := ParseRaft(nil, el); err != nil || from != 3 || store != "store-uuid" || !bytes.Equal(b, []byte{0, 1, 255}) {
		t.Fatal(from, store, b, err)
	}
	h := &Health{Member: 2, Store: "s", Cluster: "c", Epoch: 5, State: StateFull, Led: 1, Held: 2, Lag: 3, DiskUsed: 4, DiskFree: 5, Load: 0.25, Version: "v"}
	if got, err := ParseHealth(AppendHealth(nil, h)); err != nil || *got != *h {
		t.Fatalf("%+v %v", got, err)
	}
	doc := []byte(`{"a":"<&'>"}`)
	if e, d, err := ParseRing(AppendRing(nil, 7, doc)); err != nil || e != 7 || !bytes.Equal(d, doc) {
		t.Fatal(e, string(d), err)
	}
}

// TestValuesApart: a value of an answer that somebody keeps keeps none of its neighbours.
func TestValuesApart(t *testing.T) {
	var r Response
	for i := range 8 {
		value := bytes.Repeat([]byte{byte(i)}, 1000)
		r.Reads = append(r.Reads, ReadReply{Tag: uint64(i + 1), ReadResult: op.ReadResult{
			Code: op.OK, Objects: []op.Object{{Path: "p", Version: 1, Size: 1000, Value: value}},
		}})
	}
	got, err := ParseResponse(AppendResponse(nil, &r))
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Reads {
		value := got.Reads[i].Objects[0].Value
		if !bytes.Equal(value, r.Reads[i].Objects[0].Value) || cap(value) > 1100 {
			t.Errorf("value %d has %d bytes in %d bytes of memory", i, len(value), cap(value))
		}
	}
}
