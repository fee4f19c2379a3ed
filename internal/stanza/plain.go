package stanza

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones  = 0x0101_0101_0101_0101
	highs = 0x8080_8080_8080_8080
)

// plainWords returns the offset of the first byte at or behind i that needs a closer
// look: '<', '&', the byte given (ASCII), a control character (white space
// included), or a byte above ASCII; len(b) if there is none.
//
// It takes eight bytes at a time: a subtraction sets the high bit of a byte that is
// too small, and so of one that is zero after the exclusive or. A borrow can spoil
// only bytes above, so the lowest high bit is exact.
func plainWords(b []byte, i int, other byte) int {
	o := ones * uint64(other)
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		m := x | (x - ones*' ') | ((x ^ ones*'<') - ones) | ((x ^ ones*'&') - ones) | ((x ^ o) - ones)
		if m &= highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c >= 0x80 || c == '<' || c == '&' || c == other {
			return i
		}
	}
	return i
}
