package b64

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// pairs holds the two characters that 12 bits become, the first in the low byte.
var pairs = func() (t [1 << 12]uint16) {
	for i := range t {
		t[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return t
}()

// EncodedLen is the length in base64 of n bytes.
func EncodedLen(n int) int { return (n + 2) / 3 * 4 }

// Append appends src in base64.
func Append(dst, src []byte) []byte {
	n := EncodedLen(len(src))
	dst = slices.Grow(dst, n)
	out := dst[len(dst) : len(dst)+n]
	// Eight bytes are read where six are taken.
	for len(src) >= 8 {
		x := binary.BigEndian.Uint64(src)
		binary.LittleEndian.PutUint64(out, uint64(pairs[x>>52])|uint64(pairs[x>>40&0xFFF])<<16|
			uint64(pairs[x>>28&0xFFF])<<32|uint64(pairs[x>>16&0xFFF])<<48)
		src, out = src[6:], out[8:]
	}
	base64.StdEncoding.Encode(out, src)
	return dst[:len(dst)+n]
}
