package websocket

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
)

// FuzzFrame: the header of a frame is read like another implementation reads it, however many bytes
// of it are there.
func FuzzFrame(f *testing.F) {
	for _, h := range []ws.Header{
		{Fin: true, OpCode: ws.OpText, Length: 5, Masked: true, Mask: [4]byte{1, 2, 3, 4}},
		{OpCode: ws.OpBinary, Length: 126},
		{Fin: true, Rsv: 7, OpCode: 15, Length: 1 << 17},
	} {
		var b bytes.Buffer
		if err := ws.WriteHeader(&b, h); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		want, wantErr := ws.ReadHeader(r)
		got, n, err := parseFrame(b)
		switch {
		case err != nil:
			if wantErr == nil && want.Length <= 1<<40 {
				t.Fatalf("%x: %v, want %+v", b, err, want)
			}
		case n == 0:
			if wantErr == nil {
				t.Fatalf("%x: wants more than %+v", b, want)
			}
		case wantErr != nil:
			t.Fatalf("%x: %+v, want %v", b, got, wantErr)
		case got != want || n != len(b)-r.Len():
			t.Fatalf("%x: %+v in %d bytes, want %+v in %d", b, got, n, want, len(b)-r.Len())
		}
		for i := range n {
			if _, part, err := parseFrame(b[:i]); part != 0 && err == nil {
				t.Fatalf("%x: %d of %d bytes are a header of %d", b, i, n, part)
			}
		}
	})
}

// TestAppendFrame: what is written reads back.
func TestAppendFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 24} {
		b := appendFrame(nil, ws.OpText, n)
		h, used, err := parseFrame(b)
		if err != nil || used != len(b) || h.Length != int64(n) || !h.Fin || h.Masked || h.OpCode != ws.OpText {
			t.Errorf("%d: %x is %+v, %d, %v", n, b, h, used, err)
		}
	}
}
