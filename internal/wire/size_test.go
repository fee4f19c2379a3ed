package wire

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/op"
)

// bound tests that something takes no more bytes than was said.
func bound(t rapid.TB, what string, got, said int) {
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
		bound(t, "open", requestSize(Request{Opens: []Open{{Tag: n, Partition: p}}}), OpenSize)

		w := op.Write{Root: anyKey(t, "root"), Session: op.Session(n), Seq: n, Floor: n}
		for range rapid.IntRange(0, 3).Draw(t, "mutations") {
			m := mutation(t)
			m.Path = anyKey(t, "path")
			w.Mutations = append(w.Mutations, m)
		}
		bound(t, "write", requestSize(Request{Writes: []Write{{Tag: n, Partition: p, Write: w}}}), WriteSize(&w))

		r := op.Read{
			Kind: rapid.SampledFrom([]op.ReadKind{op.Get, op.List}).Draw(t, "kind"), Root: anyKey(t, "root"), Path: anyKey(t, "path"),
			Offset: n, Version: n, Prefix: anyKey(t, "prefix"), After: anyKey(t, "after"), Limit: math.MaxInt,
		}
		bound(t, "read", requestSize(Request{Reads: []Read{{Tag: n, Partition: p, Read: r}}}), ReadSize(&r))

		reply := ReadReply{Tag: n, ReadResult: op.ReadResult{Code: op.SessionExpired, Revision: n, More: true}}
		bound(t, "reply", responseSize(Response{Reads: []ReadReply{reply}}), ReplyMarkup)
		o := op.Object{Path: anyKey(t, "path"), Version: n, Size: n, Value: value(t), Refs: refs(t)}
		reply.Objects = []op.Object{o}
		bound(t, "object", responseSize(Response{Reads: []ReadReply{reply}}), ReplyMarkup+ObjectSize(&o)+ValueSize(len(o.Value)))
	})
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
		bound(t, "write", got, said)
		if said > got+got/4 {
			t.Errorf("a write takes %d bytes at most, and %d were said: bundles would be too small", got, said)
		}
	}
}
