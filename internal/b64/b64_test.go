package b64

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

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
	good := base64.StdEncoding.AppendEncode(nil, random(40))
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
	for _, s := range []string{"", "QQ==", "QUI=", "QUJD\r\n", "QUJDRA", "====", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=", "QUJDREVGR0hJSktM\nTU5PUFFSU1RV\xff"} {
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
	src := random(4096)
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
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				c.f()
			}
		})
	}
}
