package wire

import (
	"bytes"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// manyWrites is a request as a busy client sends it.
func manyWrites(n int) *Request {
	r := &Request{Epoch: 7}
	for i := range n {
		r.Writes = append(r.Writes, Write{Tag: uint64(1000 + i), Partition: 42, Write: op.Write{
			Root: "net/http", Session: 1234, Seq: uint64(5000 + i), Floor: 4990,
			Mutations: []op.Mutation{{Kind: op.Put, Path: "server.go", Value: bytes.Repeat([]byte{byte(i), 0xA5}, 128)}},
		}})
	}
	return r
}

func manyReplies(n int) *Response {
	r := &Response{Epoch: 7}
	for i := range n {
		r.Writes = append(r.Writes, WriteReply{Tag: uint64(1000 + i), WriteResult: op.WriteResult{
			Code: op.OK, Revision: uint64(900 + i), Items: []op.Item{{Code: op.OK, Version: uint64(900 + i)}},
		}})
	}
	return r
}

func perOp(b *testing.B, ops int, f func()) {
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*ops), "ns/operation")
}

func BenchmarkAppendRequest16(b *testing.B) {
	r := manyWrites(16)
	dst := AppendRequest(nil, r)
	perOp(b, 16, func() { dst = AppendRequest(dst[:0], r) })
}

func BenchmarkParseRequest16(b *testing.B) {
	el := AppendRequest(nil, manyWrites(16))
	perOp(b, 16, func() { _, _ = ParseRequest(el) })
}

func BenchmarkAppendResponse16(b *testing.B) {
	r := manyReplies(16)
	dst := AppendResponse(nil, r)
	perOp(b, 16, func() { dst = AppendResponse(dst[:0], r) })
}

func BenchmarkParseResponse16(b *testing.B) {
	el := AppendResponse(nil, manyReplies(16))
	perOp(b, 16, func() { _, _ = ParseResponse(el) })
}

func BenchmarkRaft8K(b *testing.B) {
	batch := bytes.Repeat([]byte("0123456789abcdef"), 512)
	dst := AppendRaft(nil, 3, "00000000-0000-4000-8000-000000000003", batch)
	perOp(b, 1, func() {
		dst = AppendRaft(dst[:0], 3, "00000000-0000-4000-8000-000000000003", batch)
		_, _, _, _ = ParseRaft(nil, dst)
	})
}
