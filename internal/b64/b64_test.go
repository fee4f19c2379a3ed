package b64

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestOverreach: nothing is written outside of the room that the result takes. What the library reads and
// writes is not checked by the compiler.
func TestOverreach(t *testing.T) {
	for n := range 200 {
		src := random(n)
		enc := base64.StdEncoding.AppendEncode(nil, src)
		around := bytes.Repeat([]byte{'#'}, 3*len(enc)+100)
		at := len(around) / 3
		if Append(around[:at:at+len(enc)], src); !bytes.Equal(around[at:at+len(enc)], enc) {
			t.Fatalf("%d bytes are not encoded in place", n)
		}
		room := base64.StdEncoding.DecodedLen(len(enc))
		if _, err := AppendDecode(around[:2*at:2*at+room], enc); err != nil || !bytes.Equal(around[2*at:2*at+n], src) {
			t.Fatalf("%d bytes are not decoded in place: %v", n, err)
		}
		clear(around[at : at+len(enc)])
		clear(around[2*at : 2*at+room])
		for i, c := range around {
			if inside := i >= at && i < at+len(enc) || i >= 2*at && i < 2*at+room; !inside && c != '#' {
				t.Fatalf("%d bytes: byte %d was written", n, i)
			}
		}
	}
}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestEveryLength: with the same bytes as encoding/base64 behind what is there, whatever room there is.
func TestEveryLength(t *testing.T) {
	for n := range 200 {
		for _, room := range []int{0, 3, 1000} {
			src := random(n)
			have := append(make([]byte, 0, 3+room), "abc"...)
			want := base64.StdEncoding.AppendEncode([]byte("abc"), src)
			enc := Append(have, src)
			if !bytes.Equal(enc, want) {
				t.Fatalf("%d bytes: %q, want %q", n, enc, want)
			}
			if len(enc)-3 != EncodedLen(n) {
				t.Fatalf("EncodedLen(%d) is %d", n, EncodedLen(n))
			}
			dec, err := AppendDecode(append(make([]byte, 0, 3+room), "abc"...), enc[3:])
			if err != nil || !bytes.Equal(dec, append([]byte("abc"), src...)) {
				t.Fatalf("%d bytes decoded: %q, %v", n, dec, err)
			}
		}
	}
}

// TestEveryWrongByte: each byte that does not belong there is met at each place.
func TestEveryWrongByte(t *testing.T) {
	good := base64.StdEncoding.AppendEncode(nil, random(100))
	for at := range good {
		for c := range 256 {
			src := bytes.Clone(good)
			src[at] = byte(c)
			same(t, src)
		}
	}
}

func same(t *testing.T, src []byte) {
	t.Helper()
	want, wantErr := base64.StdEncoding.AppendDecode([]byte("x"), src)
	got, err := AppendDecode([]byte("x"), src)
	if !bytes.Equal(got, want) || err != wantErr {
		t.Fatalf("%q: %q, %v; want %q, %v", src, got, err, want, wantErr)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "QQ==", "QUI=", "QUJD\r\n", "QUJDRA", "====", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=", "QUJDREVGR0hJSktM\nTU5PUFFSU1RV\xff",
		strings.Repeat("QUJD", 30) + "\r\n" + strings.Repeat("QUJD", 30) + "QQ==", strings.Repeat("Qv/+", 20) + "*" + strings.Repeat("QUJD", 20),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		same(t, src)
		enc := Append(nil, src)
		if want := base64.StdEncoding.AppendEncode(nil, src); !bytes.Equal(enc, want) {
			t.Fatalf("%q: %q, want %q", src, enc, want)
		}
		if dec, err := AppendDecode(nil, enc); err != nil || !bytes.Equal(dec, src) {
			t.Fatalf("%q: back as %q, %v", src, dec, err)
		}
	})
}

func BenchmarkBase64(b *testing.B) {
	for _, n := range []int{12, 100, 4096} {
		src := random(n)
		enc := base64.StdEncoding.AppendEncode(nil, src)
		dst := make([]byte, 0, 2*len(enc))
		for _, c := range []struct {
			name string
			f    func()
		}{
			{"encode", func() { Append(dst, src) }},
			{"encode/std", func() { base64.StdEncoding.AppendEncode(dst, src) }},
			{"decode", func() { _, _ = AppendDecode(dst, enc) }},
			{"decode/std", func() { _, _ = base64.StdEncoding.AppendDecode(dst, enc) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					c.f()
				}
			})
		}
	}
}
