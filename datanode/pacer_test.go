package datanode

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication"
)

// sentPart is what the pacer gave to the stream, and when.
type sentPart struct {
	p  uint64
	el string
	at time.Duration
}

var errFull = errors.New("full")

// openRaw takes batches for elements as they are, and their names for ids.
func openRaw(_ *peer, batch []byte) *wire.Splitter {
	return wire.NewSplitter(batch, pacePart, string(batch[1:2]))
}

// nameIn is the name of the element that a part is of.
func nameIn(part []byte) string {
	_, rest, _ := bytes.Cut(part, []byte(" id='"))
	return string(rest[:1])
}

// batchOf makes a batch of so many parts, which is an element named n.
func batchOf(n string, parts int) []byte {
	b := []byte("<" + n + ">")
	for len(b) < (parts-1)*(pacePart-512)/4*3 {
		b = append(b, make([]byte, 1024)...)
	}
	return append(b, "</"+n+">"...)
}

func appendOf(group uint32, age, index uint64) replication.Bulk {
	return replication.Bulk{Kind: replication.BulkAppend, Group: group, Age: age, First: index, Last: index}
}

func frameOf(group uint32, picture, n uint64) replication.Bulk {
	return replication.Bulk{Kind: replication.BulkFrame, Group: group, Age: picture, First: n, Last: n}
}

// runPacer runs one for a minute of a bubble. Peers above 9 are quick to acknowledge.
func runPacer(t *testing.T, errs func(n int) error, push func(*pacer)) []sentPart {
	t.Helper()
	var out []sentPart
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tries := 0
		var c pacer
		c.init(openRaw, func(p *peer, part []byte) error {
			tries++
			if err := errs(tries); err != nil {
				return err
			}
			out = append(out, sentPart{p.id, nameIn(part), time.Since(began)})
			if p.id > 9 {
				c.got(p, 1)
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

func noError(int) error { return nil }

// TestPacerKeepsTheWindow: however slow the receiver, there are never more parts
// on their way than it may have, and to one that gets slower the fewer.
func TestPacerKeepsTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, most atomic.Int32
		arrived := make(chan *peer, 1000)
		var c pacer
		c.init(openRaw, func(p *peer, _ []byte) error {
			most.Store(max(most.Load(), flying.Add(1)))
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
		c.push(two, frameOf(1, 1, 0), batchOf("f", 300))
		c.push(two, appendOf(1, 1, 1), batchOf("a", 100))
		deliver := func(parts int, each time.Duration) {
			for range parts {
				p := <-arrived
				time.Sleep(each) // of the bubble: what the receiver needs for a part
				flying.Add(-1)
				c.got(p, 1)
			}
		}
		deliver(100, time.Millisecond) // quick: 50 ms hold more than the window ever is
		if n := most.Load(); n != windowMost {
			t.Errorf("%d parts under way to a quick receiver, want %d", n, windowMost)
		}
		deliver(60, 40*time.Millisecond)
		most.Store(flying.Load())
		deliver(40, 40*time.Millisecond)
		if n := most.Load(); n != windowLeast {
			t.Errorf("%d parts under way to a slow receiver, want %d", n, windowLeast)
		}
		deliver(200, time.Millisecond)
		synctest.Wait()
		cancel()
		<-done
		if c.waiting != 0 || len(c.active) != 0 {
			t.Errorf("%d bytes wait", c.waiting)
		}
	})
}

// TestPacerGoesOnWithoutAWord: when parts or their acknowledgement are lost, the
// rest goes on after a while.
func TestPacerGoesOnWithoutAWord(t *testing.T) {
	got := runPacer(t, noError, func(c *pacer) { c.push(&peer{id: 2}, appendOf(1, 1, 1), batchOf("a", 10)) })
	if len(got) != 10 {
		t.Fatalf("%d of 10 parts", len(got))
	}
	if got[3].at != 0 || got[4].at < paceStale || got[9].at > 3*paceStale {
		t.Errorf("parts at %v, %v, %v", got[3].at, got[4].at, got[9].at)
	}
}

func TestPacerTakesTurns(t *testing.T) {
	two, three := &peer{id: 12}, &peer{id: 13}
	got := runPacer(t, noError, func(c *pacer) {
		c.push(two, frameOf(1, 1, 0), batchOf("f", 100))
		c.push(two, appendOf(1, 1, 1), batchOf("a", 4)) // does not wait for it
		c.push(two, appendOf(1, 1, 2), batchOf("b", 1)) // waits for the one before
		c.push(three, appendOf(1, 1, 1), batchOf("c", 4))
	})
	order, last := "", 0
	for i, s := range got {
		if s.p == 12 && s.el != "f" {
			order += s.el
		}
		if s.el != "f" {
			last = i
		}
	}
	if len(got) != 109 || order != "aaaab" || last > 20 {
		t.Errorf("%d parts, order %s; the snapshot held up others until part %d", len(got), order, last)
	}
}

func TestPacerErrors(t *testing.T) {
	// No room for a while: tried again, nothing is lost.
	got := runPacer(t, func(n int) error {
		if n > 3 && n < 10 {
			return errFull
		}
		return nil
	}, func(c *pacer) { c.push(&peer{id: 2}, appendOf(1, 1, 1), batchOf("a", 8)) })
	if len(got) != 8 {
		t.Errorf("%d of 8 parts", len(got))
	}
	// The peer is gone: what waits for it is dropped, others go on.
	two := &peer{id: 2}
	got = runPacer(t, func(n int) error {
		if n == 3 {
			return errors.New("closed")
		}
		return nil
	}, func(c *pacer) {
		c.push(two, appendOf(1, 1, 1), batchOf("a", 8))
		c.push(&peer{id: 3}, appendOf(1, 1, 1), batchOf("b", 8))
	})
	three := slices.DeleteFunc(slices.Clone(got), func(s sentPart) bool { return s.p != 3 })
	if n := len(got); n >= 16 || (len(three) != 8 && n-len(three) != 8) {
		t.Errorf("%d parts, of these %d of the second element", n, len(three))
	}
	// Too much waits: dropped whole. But one that is too large alone goes.
	got = runPacer(t, func(int) error { return errors.New("closed") }, func(c *pacer) {
		c.push(&peer{id: 2}, appendOf(1, 1, 1), make([]byte, paceWaiting+1))
		c.push(&peer{id: 3}, appendOf(1, 1, 1), make([]byte, 1))
		if len(c.active) != 1 || c.active[0].p.id != 2 {
			t.Errorf("%d lanes have something", len(c.active))
		}
	})
	if len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// outdatedSent pushes what becomes useless while it waits, and returns the
// elements that were sent all the same.
func outdatedSent(t *testing.T, keep bool) string {
	p := &peer{id: 12}
	sent := ""
	for _, s := range runPacer(t, noError, func(c *pacer) {
		c.keepOutdated = keep
		c.push(p, appendOf(1, 4, 7), batchOf("a", 3)) // of an earlier term
		c.push(p, appendOf(2, 4, 7), batchOf("b", 3)) // another group
		c.push(p, appendOf(1, 5, 8), batchOf("c", 3)) // Raft begins again before it
		c.push(p, appendOf(1, 5, 7), batchOf("d", 3))
		c.push(p, appendOf(1, 5, 7), batchOf("e", 3)) // waits already
		c.push(p, appendOf(1, 5, 8), batchOf("g", 3))
		c.push(p, appendOf(3, 1, 7), batchOf("h", 3))
		c.push(p, appendOf(3, 2, 0), nil) // leadership was lost
		c.push(p, frameOf(1, 1, 5), batchOf("i", 3))
		c.push(p, frameOf(1, 1, 5), batchOf("j", 3)) // asked for again
		c.push(p, frameOf(1, 1, 6), batchOf("k", 3))
		c.push(p, frameOf(1, 2, 0), batchOf("l", 3)) // of another picture
	}) {
		if len(sent) == 0 || sent[len(sent)-1] != s.el[0] {
			sent += s.el
		}
	}
	return sent
}

// TestOutdatedIsDropped: what no receiver could use any more is not sent.
func TestOutdatedIsDropped(t *testing.T) {
	useful := func(sent string) bool {
		return !slices.ContainsFunc([]byte("aceijkh"), func(b byte) bool { return slices.Contains([]byte(sent), b) }) &&
			!slices.ContainsFunc([]byte("bdgl"), func(b byte) bool { return !slices.Contains([]byte(sent), b) })
	}
	if sent := outdatedSent(t, false); !useful(sent) {
		t.Errorf("sent %q", sent)
	}
	if sent := outdatedSent(t, true); useful(sent) {
		t.Errorf("with a pacer that keeps what is outdated this test stays green: %q", sent)
	}
}
