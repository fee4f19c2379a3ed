package appclient

import (
	"bytes"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// iqsOf lets n reads wait for the one under way, ends that, and returns how many
// reads are in each IQ that leaves then, in order.
func iqsOf(t *testing.T, n int, size answerSize) []int {
	t.Helper()
	h, _, _ := offline(t)
	e := h.engine
	e.mu.Lock()
	for range n {
		c := e.pool.Get().(*call)
		c.kind, c.part, c.read = readCall, e.parts[0], op.Read{Kind: op.Get, Root: "r", Path: "p"}
		e.admit(c)
	}
	e.mu.Unlock()
	if b := h.engine.fill(nil, &h.out, 0); len(b) > 0 {
		t.Fatalf("sent beside the request under way: %s", b)
	}
	answer(t, h, `<iq type='result' from='dn1@localhost/store' id='r2'><results xmlns='urn:rosterdb:store:1' epoch='1'><read tag='2' code='ok'><object path='p' version='1' size='1'><v>dg==</v></object></read></results></iq>`)
	e.answers = size
	rest := h.engine.fill(nil, &h.out, 0)
	var iqs []int
	for _, iq := range bytes.SplitAfter(rest, []byte("</iq>")) {
		if gets := bytes.Count(iq, []byte("<get ")); gets > 0 {
			iqs = append(iqs, gets)
		}
	}
	if slots := e.nodes["dn1@localhost/store"].lanes[reads].slots; slots != 1 {
		t.Fatalf("%d slots are taken", slots)
	}
	return iqs
}

// TestBurst: what the answer to one IQ has no room for leaves in several at once,
// up to a bound.
func TestBurst(t *testing.T) {
	for _, c := range []struct {
		reads int
		size  answerSize
		iqs   []int
	}{
		{25, 100, []int{25}},
		{25, readAnswer / 10, []int{10, 10, 5}},
		{20, readAnswer / 10, []int{10, 10}},
		{3, 10 * readAnswer, []int{1, 1, 1}},
		{200, readAnswer / 10, []int{10, 10, 10, 10, 10, 10, 10, 10}},
	} {
		got := iqsOf(t, c.reads, c.size)
		if len(got) != len(c.iqs) {
			t.Fatalf("%d reads with answers of %d bytes left as %v, want %v", c.reads, c.size, got, c.iqs)
		}
		for i := range got {
			if got[i] != c.iqs[i] {
				t.Fatalf("%d reads with answers of %d bytes left as %v, want %v", c.reads, c.size, got, c.iqs)
			}
		}
	}
}

// TestAnswerSize: from values that were cut the size is learned that they would
// have had, and so many reads share an IQ that a node's 150 KiB hold them.
func TestAnswerSize(t *testing.T) {
	const value = 4096
	whole := op.ReadResult{Code: op.OK, Revision: 7, Objects: []op.Object{{Path: "some/path", Version: 7, Size: value, Value: make([]byte, value)}}}
	short := whole
	short.Objects = []op.Object{{Path: "some/path", Version: 7, Size: value}}
	var a answerSize
	for range 100 {
		a.learn(&short, 0)
	}
	var r wire.Response
	for i := range a.fit() {
		r.Reads = append(r.Reads, wire.ReadReply{Tag: 1<<40 + uint64(i), ReadResult: whole})
	}
	if n := len(wire.AppendResponse(nil, &r)); len(r.Reads) < 2 || n > 150<<10 {
		t.Fatalf("%d reads share an IQ, whose answer has %d bytes", len(r.Reads), n)
	}
	before := a
	if a.learn(&short, value); a >= before {
		t.Fatal("the size grew by what had been read before")
	}
}
