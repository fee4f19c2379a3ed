package datanode

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
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
			if p.id > 9 {
				c.got(p, 1) // a peer that is quick
			}
			return nil
		}, errFull)
		push(&c) // before it runs, or how far it comes between two of them would be up to the scheduler
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.run(ctx)
		}()
		time.Sleep(time.Minute) // of the bubble: until nothing but the pacer's own timers could wake it
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

// pushTo pushes in order.
func pushTo(c *pacer, p *peer, parts [][]byte) { c.push(&p.inOrder, p, parts) }

func noError(int) error { return nil }

// TestPacerKeepsTheWindow: however slow the receiver, there are never more parts
// on their way than it may have.
func TestPacerKeepsTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying atomic.Int32
		most, delivered := int32(0), 0
		arrived := make(chan *peer, 100)
		var c pacer
		c.init(func(p *peer, _ []byte) error {
			most = max(most, flying.Add(1))
			arrived <- p
			return nil
		}, errFull)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.run(ctx)
		}()
		two := &peer{id: 2}
		c.push(&two.bulk, two, parts(200, 64<<10))
		c.push(&two.inOrder, two, parts(20, 64<<10))
		for range 220 {
			p := <-arrived
			time.Sleep(10 * time.Millisecond) // of the bubble: a slow receiver
			delivered++
			flying.Add(-1)
			c.got(p, 1)
		}
		synctest.Wait()
		cancel()
		<-done
		if most > paceWindow || delivered != 220 || c.waiting != 0 || len(c.active) != 0 {
			t.Errorf("%d on their way at a time, %d delivered, %d bytes wait", most, delivered, c.waiting)
		}
	})
}

// TestPacerGoesOnWithoutAWord: when parts or their acknowledgement are lost, the
// rest goes on after a while.
func TestPacerGoesOnWithoutAWord(t *testing.T) {
	got := runPacer(t, noError, func(c *pacer) { pushTo(c, &peer{id: 2}, parts(10, 100)) })
	if len(got) != 10 {
		t.Fatalf("%d of 10 parts", len(got))
	}
	if got[3].at != 0 || got[4].at < paceStale || got[9].at > 3*paceStale {
		t.Errorf("parts at %v, %v, %v", got[3].at, got[4].at, got[9].at)
	}
}

func TestPacerTakesTurns(t *testing.T) {
	two := &peer{id: 12}
	got := runPacer(t, noError, func(c *pacer) {
		c.push(&two.bulk, two, parts(400, 128<<10))
		c.push(&two.inOrder, two, parts(4, 100<<10)) // does not wait for it
		c.push(&two.inOrder, two, parts(1, 7))       // waits for the one before
		pushTo(c, &peer{id: 13}, parts(4, 101<<10))  // waits for neither
	})
	var order []int
	lastOther := 0
	for i, s := range got {
		if s.size == 100<<10 || s.size == 7 {
			order = append(order, s.size)
		}
		if s.p == 13 || s.size == 7 {
			lastOther = i
		}
	}
	if len(got) != 409 || !slices.Equal(order, []int{100 << 10, 100 << 10, 100 << 10, 100 << 10, 7}) {
		t.Errorf("%d parts, order %v", len(got), order)
	}
	if lastOther > 20 {
		t.Errorf("the snapshot held up others until part %d", lastOther)
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
	}, func(c *pacer) { pushTo(c, &peer{id: 2}, parts(8, 10)) })
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
		pushTo(c, &peer{id: 2}, parts(8, 10))
		pushTo(c, &peer{id: 3}, parts(8, 10))
	})
	three := slices.DeleteFunc(slices.Clone(got), func(s sentPart) bool { return s.p != 3 })
	if n := len(got); n >= 16 || (len(three) != 8 && n-len(three) != 8) {
		t.Errorf("%d parts, of these %d of the second element", n, len(three))
	}
	// Too much waits: dropped whole. But one that is too large alone goes.
	got = runPacer(t, noError, func(c *pacer) {
		pushTo(c, &peer{id: 2}, parts(1, paceWaiting+1))
		pushTo(c, &peer{id: 3}, parts(1, 1))
	})
	if len(got) != 1 || got[0].p != 2 {
		t.Errorf("%v", got)
	}
}
