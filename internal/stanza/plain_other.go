//go:build !amd64

package stanza

// plain returns the offset of the first byte at or behind i that needs a closer look, see plainWords.
func plain(b []byte, i int, other byte) int { return plainWords(b, i, other) }
