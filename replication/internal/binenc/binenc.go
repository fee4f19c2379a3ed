// Package binenc reads and writes what the store's formats on disk are made of:
// uvarints (as in encoding/binary), bytes, and byte strings with their length in
// front. Checksums and versions are the formats' own.
package binenc

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrMalformed tells that an encoding ends too early, goes on behind its end, or
// holds a number that cannot be.
var ErrMalformed = errors.New("malformed encoding")

// AppendBytes appends the length of p, then p.
func AppendBytes(dst, p []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(p))), p...)
}

// AppendString appends the length of s, then s.
func AppendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Reader reads an encoding from its front. After the first mistake it is Bad, has
// nothing left and yields zeros, so that a caller checks once, at the end.
type Reader struct {
	B   []byte // what is left to read
	Bad bool
}

func (r *Reader) fail() { r.Bad, r.B = true, nil }

// Uvarint reads a number.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.B)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Uint32 reads a uvarint that has to fit into 32 bits.
func (r *Reader) Uint32() uint32 {
	v := r.Uvarint()
	if v > math.MaxUint32 {
		r.fail()
		return 0
	}
	return uint32(v)
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.B) == 0 {
		r.fail()
		return 0
	}
	c := r.B[0]
	r.B = r.B[1:]
	return c
}

// Bytes reads a length and that many bytes, which alias the input; nil for none.
func (r *Reader) Bytes() []byte {
	n := r.Uvarint()
	if n > uint64(len(r.B)) {
		r.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	p := r.B[:n:n]
	r.B = r.B[n:]
	return p
}

// Count reads a number of items that take at least size bytes each. One for which
// too few bytes are left is a mistake: nobody allocates for it.
func (r *Reader) Count(size int) int {
	n := r.Uvarint()
	if n > uint64(len(r.B)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// End returns ErrMalformed unless everything was read without a mistake.
func (r *Reader) End() error {
	if r.Bad || len(r.B) != 0 {
		return ErrMalformed
	}
	return nil
}
