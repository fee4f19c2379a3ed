package link

import (
	"bytes"
	"testing"
)

// FuzzFrames: whatever comes, frames are cut alike however the bytes are split, and never beyond them.
func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, 1, []byte("x")), 2, nil), 3)
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f}, 2)
	f.Add(appendFrame(nil, 7, bytes.Repeat([]byte("y"), 300)), 1)
	f.Fuzz(func(t *testing.T, b []byte, split int) {
		frames, n, err := cutAll(b)
		if n > len(b) || frames > len(b)/2 {
			t.Fatalf("%d frames in %d of %d bytes", frames, n, len(b))
		}
		var again []byte
		for rest := b[:n]; len(rest) > 0; {
			ch, payload, size, err := cutFrame(rest)
			if err != nil || size == 0 {
				t.Fatalf("a frame that was cut is none: %v", err)
			}
			again = appendFrame(again, ch, payload)
			rest = rest[size:]
		}
		if f2, n2, err := cutAll(again); f2 != frames || n2 != len(again) || err != nil {
			t.Fatalf("written again: %d frames in %d bytes, %v", f2, n2, err)
		}
		if split < 0 || split > len(b) {
			return
		}
		f1, n1, err1 := cutAll(b[:split])
		if err1 != nil && err == nil {
			t.Fatalf("an error in a part: %v", err1)
		}
		if f2, _, _ := cutAll(b[n1:]); f1+f2 != frames {
			t.Fatalf("%d and %d frames, %d in one piece", f1, f2, frames)
		}
	})
}

// FuzzHello: what is no hello is an error.
func FuzzHello(f *testing.F) {
	var buf bytes.Buffer
	if err := writeHello(&buf, &hello{Major: 1, Cluster: "c", From: "a", To: "b"}); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte{0, 2, '{', '}'})
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHello(bytes.NewReader(b))
		if (h == nil) == (err == nil) {
			t.Fatalf("%v, %v", h, err)
		}
	})
}
