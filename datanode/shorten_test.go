package datanode

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// TestAnswersFit: whatever was read, the answer stays within its room, values
// are beginnings of what was read, and what was cut can be asked for.
func TestAnswersFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string, limit int) string {
			n := rapid.IntRange(0, limit).Draw(t, name)
			return strings.Repeat(rapid.SampledFrom([]string{"x", "'", "&", "ü"}).Draw(t, "char"), n/2)
		}
		var in []wire.ReadReply
		for range rapid.IntRange(1, 12).Draw(t, "replies") {
			r := wire.ReadReply{Tag: 1}
			r.Code = op.OK
			for range rapid.IntRange(0, 5).Draw(t, "objects") {
				size := rapid.SampledFrom([]int{0, 10, 4096, 50_000, 1 << 20}).Draw(t, "size")
				o := op.Object{Path: text("path", 1024), Version: 3, Size: uint64(size), Value: bytes.Repeat([]byte("v"), size)}
				for range rapid.IntRange(0, 40).Draw(t, "refs") {
					o.Refs = append(o.Refs, op.Ref{Root: text("root", 512), Path: text("refpath", 1024)})
				}
				r.Objects = append(r.Objects, o)
			}
			if len(r.Objects) == 0 {
				for range rapid.SampledFrom([]int{0, 1, 20, 300}).Draw(t, "events") {
					size := rapid.SampledFrom([]int{0, 10, 4096, 50_000}).Draw(t, "size")
					at := uint64(1 << 60)
					if n := len(r.Events); n > 0 {
						at = r.Events[n-1].Position + uint64(rapid.IntRange(0, 1).Draw(t, "entries"))
					}
					r.Events = append(r.Events, op.Event{Kind: op.Written, Root: "r", Path: text("path", 1024), Position: at, Revision: 1 << 60, Size: uint64(size), Value: bytes.Repeat([]byte("v"), size)})
				}
			}
			in = append(in, r)
		}
		before, events := make([][]op.Object, len(in)), make([][]op.Event, len(in))
		for i := range in {
			events[i] = append([]op.Event(nil), in[i].Events...)
			before[i] = append([]op.Object(nil), in[i].Objects...)
		}
		shorten(in, maxReadAnswer)
		if n := len(wire.AppendResponse(nil, &wire.Response{Epoch: 1 << 40, Reads: in})); n > maxReadAnswer {
			t.Fatalf("answer of %d bytes, room for %d", n, maxReadAnswer)
		}
		for i := range in {
			if in[i].Code == op.TooLarge || in[i].Code == op.Retry {
				continue
			}
			if len(in[i].Objects) < len(before[i]) && !in[i].More {
				t.Fatalf("reply %d lost objects without saying so", i)
			}
			if kept := len(in[i].Events); kept < len(events[i]) {
				next := events[i][kept].Position
				if !in[i].More || in[i].Position != next-1 || kept == 0 || in[i].Events[kept-1].Position == next && in[i].Events[0].Position != next {
					t.Fatalf("reply %d has %d of %d events and goes on at %d", i, kept, len(events[i]), in[i].Position)
				}
			}
			for e := range in[i].Events {
				was := events[i][e]
				if is := in[i].Events[e]; !bytes.HasPrefix(was.Value, is.Value) || is.Size != was.Size || is.Path != was.Path {
					t.Fatalf("reply %d, event %d changed", i, e)
				}
			}
			for o := range in[i].Objects {
				was := before[i][o]
				if is := in[i].Objects[o]; !bytes.HasPrefix(was.Value, is.Value) || is.Size != was.Size || is.Path != was.Path {
					t.Fatalf("reply %d, object %d changed", i, o)
				}
			}
		}
		for i := range before {
			for _, o := range before[i] {
				if int(o.Size) != len(o.Value) {
					t.Fatal("what was read was changed in place")
				}
			}
		}
	})
}

// TestFirstValueProgresses: reading on in a large value always gets somewhere.
func TestFirstValueProgresses(t *testing.T) {
	r := []wire.ReadReply{{Tag: 1, ReadResult: op.ReadResult{Code: op.OK, Objects: []op.Object{{Size: 1 << 20, Value: make([]byte, 1<<20)}}}}}
	shorten(r, maxReadAnswer)
	if n := len(r[0].Objects[0].Value); n < 100<<10 {
		t.Fatalf("only %d bytes of the value", n)
	}
}
