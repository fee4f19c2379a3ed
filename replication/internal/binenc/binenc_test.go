package binenc

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestRoundTrip: what was written is read, and of a shorter input nothing is
// believed.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint64().Draw(t, "number")
		small := rapid.Uint32().Draw(t, "small")
		c := rapid.Byte().Draw(t, "byte")
		p := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
		s := rapid.String().Draw(t, "string")
		b := binary.AppendUvarint(nil, number)
		b = append(binary.AppendUvarint(b, uint64(small)), c)
		b = AppendString(AppendBytes(b, p), s)

		read := func(b []byte) (r Reader, same bool) {
			r = Reader{B: b}
			n, u, x := r.Uvarint(), r.Uint32(), r.Byte()
			return r, n == number && u == small && x == c && string(r.Bytes()) == string(p) && string(r.Bytes()) == s
		}
		if r, same := read(b); !same || r.End() != nil {
			t.Fatalf("read something else: %v", r.End())
		}
		if r, _ := read(append(b, 0)); !errors.Is(r.End(), ErrMalformed) {
			t.Fatal("a byte behind the end was not noticed")
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if r, _ := read(b[:cut]); !errors.Is(r.End(), ErrMalformed) {
			t.Fatalf("the end is missing from byte %d, and was not missed", cut)
		}
	})
}

// TestLies: numbers that the input cannot hold are refused, for good.
func TestLies(t *testing.T) {
	huge := binary.AppendUvarint(nil, math.MaxUint64)
	for name, read := range map[string]func(*Reader){
		"bytes":  func(r *Reader) { r.Bytes() },
		"count":  func(r *Reader) { r.Count(1) },
		"uint32": func(r *Reader) { r.Uint32() },
	} {
		r := Reader{B: append(huge, 1, 2, 3)}
		read(&r)
		if r.Uvarint() != 0 || r.Byte() != 0 || r.Bytes() != nil || r.Count(1) != 0 || r.End() == nil {
			t.Errorf("%s: reading went on after a mistake", name)
		}
	}
	r := Reader{B: []byte{2, 'a', 'b', 'c'}}
	if n := r.Count(2); n != 0 || !r.Bad {
		t.Errorf("%d items of two bytes in three", n)
	}
}
