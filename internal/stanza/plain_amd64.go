package stanza

import "golang.org/x/sys/cpu"

var vectors = cpu.X86.HasAVX2

// near is how many bytes plain looks at before the vectors: most values of attributes end within them.
const near = 16

// plain returns the offset of the first byte at or behind i that needs a closer look, see plainWords.
func plain(b []byte, i int, other byte) int {
	if !vectors || len(b)-i < near+32 {
		return plainWords(b, i, other)
	}
	far := i + near
	if i = plainWords(b[:far], i, other); i < far {
		return i
	}
	return far + plainVector(b[far:], other)
}

// plainVector is plainWords(b, 0, other), 64 bytes at a time, for 32 bytes at least. The last bytes are looked
// at together with some that have been found plain before, so that nothing outside of b is read.
//
//go:noescape
func plainVector(b []byte, other byte) int
