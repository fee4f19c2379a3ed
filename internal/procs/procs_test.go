package procs

import (
	"context"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLook: it grows at once and with room to spare, shrinks only after a while of
// calm, and stays within its bounds.
func TestLook(t *testing.T) {
	f := fit{most: 4, now: 1}
	for _, c := range []struct {
		cores float64
		want  int
	}{{0.1, 1}, {0.6, 1}, {0.7, 2}, {1.4, 3}, {3.9, 4}, {9, 4}} {
		if f.now = f.look(c.cores, 0); f.now != c.want {
			t.Errorf("%.1f cores used: %d, want %d", c.cores, f.now, c.want)
		}
	}
	for i := range linger - 1 {
		if n := f.look(0.1, 0); n != 4 {
			t.Fatalf("%d after %d calm looks", n, i+1)
		}
	}
	f.look(3, 0) // not calm: it counts anew
	for range linger - 1 {
		f.look(0.1, 0)
	}
	if n := f.look(0.1, 0); n != 1 {
		t.Errorf("%d after %d calm looks, want 1", n, linger)
	}
}

// TestLate: too many that wait for a thread get one more, whatever is used.
func TestLate(t *testing.T) {
	f := fit{most: 2, now: 1}
	if n := f.look(0.1, tooMany); n != 1 {
		t.Errorf("not too many: %d", n)
	}
	if n := f.look(0.1, 2*tooMany); n != 2 {
		t.Errorf("too many: %d", n)
	}
}

func TestRunPutsItBack(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	Run(ctx)
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d, was %d", n, before)
	}
}
