package stanza

import (
	"bytes"
	"fmt"
	"testing"
)

// plainBytes says what plain has to find, byte by byte.
func plainBytes(b []byte, i int, other byte) int {
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c >= 0x80 || c == '<' || c == '&' || c == other {
			return i
		}
	}
	return i
}

func samePlain(t *testing.T, b []byte, i int, other byte) {
	t.Helper()
	want := plainBytes(b, i, other)
	if got := plain(b, i, other); got != want {
		t.Fatalf("plain(%q, %d, %q) is %d, want %d", b, i, other, got, want)
	}
	if got := plainWords(b, i, other); got != want {
		t.Fatalf("plainWords(%q, %d, %q) is %d, want %d", b, i, other, got, want)
	}
}

// TestPlainEveryPlace: each byte is judged alike at each place of pieces of many lengths, between
// bytes that would stop the scanner and do not belong to the piece.
func TestPlainEveryPlace(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 47, 48, 49, 79, 80, 81, 111, 112, 113, 200} {
		around := bytes.Repeat([]byte{'<'}, n+128)
		b := around[64 : 64+n : 64+n]
		for i := range b {
			b[i] = 'a'
		}
		samePlain(t, b, 0, ']')
		for at := range b {
			for c := range 256 {
				b[at] = byte(c)
				samePlain(t, b, 0, ']')
			}
			b[at] = 'a'
		}
	}
}

// TestPlainNext: from every place on the nearest stop is found, though there are others close by.
func TestPlainNext(t *testing.T) {
	b := bytes.Repeat([]byte("abc<defghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop&\xc3\xa9'\"\n"), 4)
	for i := range len(b) + 1 {
		for _, other := range []byte{']', '\'', '"', '&', 'm', 0x7F} {
			samePlain(t, b, i, other)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte("QUJD"), 0, byte(']'))
	f.Add(bytes.Repeat([]byte("QUJD"), 40), 3, byte('\''))
	f.Add(append(bytes.Repeat([]byte{'~', 0x7F, ' '}, 30), 0x80), 1, byte('"'))
	f.Add(append(bytes.Repeat([]byte{'='}, 95), "<&]"...), 0, byte('&'))
	f.Fuzz(func(t *testing.T, b []byte, i int, other byte) {
		if other < 0x80 && i >= 0 && i <= len(b) {
			samePlain(t, b, i, other)
		}
	})
}

func BenchmarkPlain(b *testing.B) {
	for _, n := range []int{5, 20, 60, 400, 64 << 10} {
		text := append(bytes.Repeat([]byte{'x'}, n), bytes.Repeat([]byte{'<'}, 100)...)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				plain(text, 0, ']')
			}
		})
	}
}
