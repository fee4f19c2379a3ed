package datanode

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// sentPart is what the pacer gave to the stream, and when.
type sentPart struct {
	p    uint64
	size int
	at   time.Duration
}

func runPacer(t *testing.T, errs func(n int) error, push func(*pacer)) []sentPart {
	t.Helper()
	var out []sentPart
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tries := 0
		var c pacer
		c.init(func(p *peer, part []byte) error {
			tries++
			if err := errs(tries); err != nil {
				return err
			}
			out = append(out, sentPart{p.id, len(part), time.Since(began)})
			return nil
		}, errFull)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.run(ctx)
		}()
		push(&c)
		time.Sleep(time.Minute)
		cancel()
		<-done
		if c.waiting != 0 || len(c.active) != 0 {
			t.Errorf("%d bytes in %d lanes still wait", c.waiting, len(c.active))
		}
	})
	return out
}

var errFull = errors.New("full")

func parts(n, size int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = make([]byte, size)
	}
	return out
}

func noError(int) error { return nil }

func TestPacerSpreadsALargeElement(t *testing.T) {
	const size = 128 << 10
	got := runPacer(t, noError, func(c *pacer) { c.push(&peer{id: 2}, parts(800, size)) }) // 100 MiB
	if len(got) != 800 {
		t.Fatalf("%d of 800 parts", len(got))
	}
	if got[15].at != 0 {
		t.Errorf("the burst waited: %v", got[15].at)
	}
	if end := got[799].at; end < 2900*time.Millisecond || end > 3300*time.Millisecond {
		t.Errorf("100 MiB took %v at 32 MiB/s", end)
	}
	// In no stretch of time more than burst and rate permit.
	for i := range got {
		for j := i; j < len(got); j += 37 {
			if bytes, most := (j-i+1)*size, paceBurst+size+int(paceRate*(got[j].at-got[i].at).Seconds()); bytes > most {
				t.Fatalf("%d bytes between %v and %v", bytes, got[i].at, got[j].at)
			}
		}
	}
}

func TestPacerTakesTurns(t *testing.T) {
	two := &peer{id: 2}
	got := runPacer(t, noError, func(c *pacer) {
		c.push(two, parts(400, 128<<10))        // a snapshot
		c.push(two, parts(4, 100<<10))          // does not wait for it
		c.push(two, parts(1, 7))                // waits for the one before
		c.push(&peer{id: 3}, parts(4, 101<<10)) // waits for neither
	})
	var order []int
	for i, s := range got {
		if s.size == 100<<10 || s.size == 7 {
			order = append(order, s.size)
		}
		if s.size != 128<<10 && i > 16+3*5 { // the first burst may be through before they come
			t.Errorf("part %d of %d bytes to %d", i, s.size, s.p)
		}
	}
	if len(got) != 409 || !slices.Equal(order, []int{100 << 10, 100 << 10, 100 << 10, 100 << 10, 7}) {
		t.Errorf("%d parts, order %v", len(got), order)
	}
	if two.inOrder.busy.Load() != 0 || two.bulk.busy.Load() != 0 {
		t.Error("busy when all is sent")
	}
}

func TestPacerErrors(t *testing.T) {
	// No room for a while: tried again, nothing is lost.
	got := runPacer(t, func(n int) error {
		if n > 3 && n < 10 {
			return errFull
		}
		return nil
	}, func(c *pacer) { c.push(&peer{id: 2}, parts(8, 10)) })
	if len(got) != 8 {
		t.Errorf("%d of 8 parts", len(got))
	}
	// The stream is gone: the rest of that element is dropped, others go on.
	got = runPacer(t, func(n int) error {
		if n == 3 {
			return errors.New("closed")
		}
		return nil
	}, func(c *pacer) {
		c.push(&peer{id: 2}, parts(8, 10))
		c.push(&peer{id: 3}, parts(8, 10))
	})
	three := slices.DeleteFunc(slices.Clone(got), func(s sentPart) bool { return s.p != 3 })
	if n := len(got); n >= 16 || (len(three) != 8 && n-len(three) != 8) {
		t.Errorf("%d parts, of these %d of the second element", n, len(three))
	}
	// Too much: dropped whole.
	got = runPacer(t, noError, func(c *pacer) {
		c.push(&peer{id: 2}, parts(1, paceWaiting+1))
		c.push(&peer{id: 3}, parts(1, 1))
	})
	if len(got) != 1 || got[0].p != 3 {
		t.Errorf("%v", got)
	}
}
