package wire

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/op"
)

// within tests that something takes no more bytes than was said.
func within(t rapid.TB, what string, got, said int) {
	t.Helper()
	if got > said {
		t.Fatalf("%s takes %d bytes, %d were said", what, got, said)
	}
}

func requestSize(r Request) int {
	return len(AppendRequest(nil, &r)) - len(AppendRequest(nil, &Request{Epoch: r.Epoch}))
}

func responseSize(r Response) int {
	return len(AppendResponse(nil, &r)) - len(AppendResponse(nil, &Response{Epoch: r.Epoch}))
}

// anyKey draws also what XML cannot carry.
func anyKey(t *rapid.T, label string) string {
	return rapid.OneOf(rapid.StringN(0, 20, -1), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) })).Draw(t, label)
}

// TestSizesAreUpperBounds: with whatever keys and with the longest numbers,
// nothing takes more bytes than its size says.
func TestSizesAreUpperBounds(t *testing.T) {
	const most = math.MaxUint64
	number := rapid.SampledFrom([]uint64{0, 1, 1 << 32, most})
	rapid.Check(t, func(t *rapid.T) {
		n := number.Draw(t, "number")
		p := uint32(n)
		within(t, "open", requestSize(Request{Opens: []Open{{Tag: n, Partition: p}}}), OpenSize)

		w := op.Write{Root: anyKey(t, "root"), Session: op.Session(n), Seq: n, Floor: n, RootCond: op.Condition{Kind: op.VersionIs, Version: n}}
		for range rapid.IntRange(0, 3).Draw(t, "mutations") {
			m := mutation(t)
			m.Path = anyKey(t, "path")
			if m.TTL > 0 {
				m.TTL = math.MaxInt64
			}
			if m.Delta != 0 {
				m.Delta = math.MinInt64
			}
			w.Mutations = append(w.Mutations, m)
		}
		within(t, "write", requestSize(Request{Writes: []Write{{Tag: n, Partition: p, Write: w}}}), WriteSize(&w))

		s := Settle{Tag: n, Partition: p, Settle: op.Settle{Session: op.Session(n), Seq: n}}
		within(t, "settle", requestSize(Request{Settles: []Settle{s}}), SettleSize)

		within(t, "cancel", requestSize(Request{Cancels: []uint64{n}}), CancelSize)

		r := op.Read{
			Kind: op.ReadKind(rapid.IntRange(int(op.Get), int(op.Changes)).Draw(t, "kind")), Root: anyKey(t, "root"), Path: anyKey(t, "path"),
			Offset: n, Version: n, Prefix: anyKey(t, "prefix"), AfterRoot: anyKey(t, "afterroot"), After: anyKey(t, "after"), Limit: math.MaxInt,
			Stale: true, MaxAge: math.MaxInt64, Values: true, RootsOnly: true, Index: anyKey(t, "index"), From: anyBound(t), To: anyBound(t),
			Desc: true, Cursor: value(t), Since: n, SinceRevision: n, ByRevision: rapid.Bool().Draw(t, "by"), Wait: math.MaxInt64, Skip: math.MaxInt32,
		}
		within(t, "read", requestSize(Request{Reads: []Read{{Tag: n, Partition: p, Read: r, With: n}}}), ReadSize(&r))

		reply := ReadReply{Tag: n, Term: n, ReadResult: op.ReadResult{Code: op.SessionExpired, Revision: n, More: true, Expiring: true, Position: n, Time: int64(n >> 1), RetryAfter: int64(n >> 1)}}
		said := ReplySize(&reply.ReadResult)
		within(t, "reply", responseSize(Response{Reads: []ReadReply{reply}}), said)
		o := op.Object{Root: anyKey(t, "root"), Path: anyKey(t, "path"), Version: n, Size: n, Expires: int64(n >> 1), Value: value(t), Refs: refs(t), Cursor: value(t)}
		if k := anyBound(t); k != nil {
			o.Key = *k
		}
		reply.Objects = []op.Object{o}
		within(t, "object", responseSize(Response{Reads: []ReadReply{reply}}), said+ObjectSize(&o)+ValueSize(len(o.Value)))
		e := op.Event{Kind: op.Written, Root: anyKey(t, "root"), Path: anyKey(t, "path"), Position: n, Revision: n, Superseded: true, Size: n, Value: value(t)}
		reply.Objects, reply.Events = nil, []op.Event{e}
		within(t, "event", responseSize(Response{Reads: []ReadReply{reply}}), said+EventSize(&e)+ValueSize(len(e.Value)))
	})
}

// anyBound draws also the longest numbers and what XML cannot carry.
func anyBound(t *rapid.T) *op.Scalar {
	s := bound(t)
	if s != nil && s.Kind == op.Number && rapid.Bool().Draw(t, "long") {
		s.Number = -2.2250738585072014e-308
	}
	if s != nil && s.Kind == op.String {
		s.String = anyKey(t, "string")
	}
	return s
}

// TestSizesOfTheLongest: the figures for markup hold where there is nothing else,
// and what has to be escaped is counted so.
func TestSizesOfTheLongest(t *testing.T) {
	const most = math.MaxUint64
	quotes := strings.Repeat("'", 100)
	m := op.Mutation{Kind: op.Delete, Path: quotes, Cond: op.Condition{Kind: op.VersionIs, Version: most}, Value: []byte{1}, Refs: []op.Ref{{Root: quotes, Path: quotes}}}
	for _, w := range []op.Write{
		{Session: most, Seq: most, Floor: most},
		{Session: most, Seq: most, Floor: most, Root: quotes, Mutations: []op.Mutation{m, m, m, m, m, m, m, m}},
	} {
		got, said := requestSize(Request{Writes: []Write{{Tag: most, Partition: math.MaxUint32, Write: w}}}), WriteSize(&w)
		within(t, "write", got, said)
		if said > got+got/4 {
			t.Errorf("a write takes %d bytes at most, and %d were said: bundles would be too small", got, said)
		}
	}
}
