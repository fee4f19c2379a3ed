package c2s

import (
	"errors"
	"sync"
	"testing"
)

// TestKeptIsBounded: what TLS writes by itself, such as answers to a peer that asks for new keys
// without end, takes bounded memory; what was taken to be written doesn't count any more.
func TestKeptIsBounded(t *testing.T) {
	tp := &tap{pool: new(sync.Pool)}
	tp.hold()
	write := func() (n int, err error) {
		for range 10_000 {
			var k int
			k, err = tp.Write(make([]byte, 30))
			if n += k; err != nil {
				break
			}
		}
		return n, err
	}
	for range 2 {
		if n, err := write(); !errors.Is(err, errKept) || n > maxKept || n < maxKept-30 {
			t.Fatalf("kept %d bytes, %v; want %d at most", n, err, maxKept)
		}
		if out := tp.take(); out == nil || len(*out) > maxKept {
			t.Fatal("what was kept can't be taken")
		}
	}
}
