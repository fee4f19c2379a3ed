package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ackClient is a client that acknowledges: it handles whole elements and counts stanzas.
type ackClient struct {
	p       *pipe
	read    int // bytes of p.out that are handled
	handled uint32
	got     []string
	asked   int
}

func (c *ackClient) handle() {
	out := c.p.got()
	for {
		n := bytes.Index(out[c.read:], []byte("/>"))
		if n < 0 {
			return
		}
		el := string(out[c.read : c.read+n+2])
		c.read += n + 2
		switch el[:2] {
		case "<m":
			c.handled++
			c.got = append(c.got, el)
		case "<r":
			c.asked++
		}
	}
}

// ackWorld is a session that acknowledges, its client, and the server's readers of transports.
type ackWorld struct {
	s       *Session
	c       *ackClient
	wg      *sync.WaitGroup
	watch   Watch
	readers sync.WaitGroup
	gone    chan struct{} // closed when the present reader has given the transport up
	lost    chan struct{} // closed to tell the present reader that the connection is lost
	ended   int
	b       Batch
}

func newAckWorld(limit int, room int, faults AckFaults) *ackWorld {
	w := &ackWorld{c: &ackClient{p: newPipe(len("<enabled/>") + room)}}
	w.s, w.wg = testSession(w.c.p, limit)
	w.b.EnableAcks(w.s, &AckPolicy{Stanzas: 1000, Every: 3, Patience: 2, Watch: &w.watch, Faults: faults}, "id", 100, []byte("<enabled/>"))
	w.b.Flush()
	w.reader()
	return w
}

// reader is the goroutine that reads the present transport: it gives the transport up when the
// connection is lost, or aborted.
func (w *ackWorld) reader() {
	w.gone, w.lost = make(chan struct{}), make(chan struct{})
	p, gone, lost := w.c.p, w.gone, w.lost
	w.readers.Go(func() {
		defer close(gone)
		select {
		case <-lost:
		case <-p.abort:
		}
		w.s.Out.Detach([]byte("<conflict/>"), func() { w.ended++ })
	})
}

// resume claims the session for a new connection, and attaches it.
func (w *ackWorld) resume(room int, between func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // reached only by a planted bug
	defer cancel()
	if err := w.s.Out.Claim(ctx, w.c.handled); err != nil {
		return err
	}
	between()
	w.c.p, w.c.read = newPipe(room), 0
	w.reader()
	w.b.Attach(w.s, w.c.p, []byte("<resumed/>"))
	w.b.Flush()
	return nil
}

// close ends the session and its goroutines.
func (w *ackWorld) close() (left [][]byte) {
	w.s.Out.Fail(ErrClosed)
	w.c.p.Abort()
	w.readers.Wait()
	left, _ = w.s.Out.Close()
	w.wg.Wait()
	return left
}

// runAcks plays a random life of a session, and returns what is wrong with what its client got.
func runAcks(rt *rapid.T, faults AckFaults) error {
	w := newAckWorld(1<<20, rapid.IntRange(0, 200).Draw(rt, "room"), faults)
	defer w.close()
	var sent []string
	send := func() {
		m := fmt.Sprintf("<m i='%d' %s/>", len(sent), bytes.Repeat([]byte("x"), rapid.IntRange(0, 30).Draw(rt, "len")))
		if w.b.Send(w.s, []byte(m[:1]), []byte(m[1:4]), nil, []byte(m[4:])) {
			sent = append(sent, m)
		}
	}
	for range rapid.IntRange(1, 60).Draw(rt, "steps") {
		switch rapid.IntRange(0, 9).Draw(rt, "step") {
		case 0:
			w.b.Flush()
		case 1:
			w.c.p.grant(rapid.IntRange(0, 100).Draw(rt, "grant"))
		case 2:
			w.c.handle()
		case 3:
			w.c.handle()
			if err := w.s.Out.Ack(w.c.handled); err != nil {
				return err
			}
		case 4: // the server notices the cut at once
			close(w.lost)
			<-w.gone
			send()
			if err := w.resume(rapid.IntRange(0, 200).Draw(rt, "room"), send); err != nil {
				return err
			}
		case 5: // the old connection still lives, and may be written to at this moment
			if err := w.resume(rapid.IntRange(0, 200).Draw(rt, "room"), send); err != nil {
				return err
			}
		case 6:
			w.watch.Tick()
		default:
			send()
		}
	}
	w.b.Flush()
	if err := w.resume(1<<20, func() {}); err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Microsecond) { // until all has come, or never will
		w.c.handle()
		if slices.Equal(w.c.got, sent) {
			break
		}
		w.s.Out.mu.Lock()
		quiet := !w.s.Out.writing
		w.s.Out.mu.Unlock()
		if quiet || time.Now().After(end) {
			w.c.handle()
			if !slices.Equal(w.c.got, sent) {
				return fmt.Errorf("sent %q, the client got %q", sent, w.c.got)
			}
			break
		}
	}
	if err := w.s.Out.Ack(w.c.handled); err != nil {
		return err
	}
	if n, size := w.s.Out.Unacked(); n != 0 || size != 0 {
		return fmt.Errorf("%d stanzas, %d bytes unacknowledged at the end", n, size)
	}
	return nil
}

// TestResumptionExactlyOnce: whatever is cut, acknowledged and resumed when, a client that counts
// gets each stanza once and in order (XEP-0198 section 5).
func TestResumptionExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if err := runAcks(rt, AckFaults{}); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestResumptionFaults plants bugs; the property must notice each.
func TestResumptionFaults(t *testing.T) {
	for name, f := range map[string]AckFaults{"keep nothing": {KeepNothing: true}, "ignore h": {IgnoreH: true}, "two writers": {TwoWriters: true}} {
		t.Run(name, func(t *testing.T) {
			noticed := 0
			rapid.Check(t, func(rt *rapid.T) {
				if noticed == 0 && runAcks(rt, f) != nil {
					noticed++
				}
			})
			if noticed == 0 {
				t.Error("not noticed")
			}
		})
	}
}

// TestUnackedComeBack: what the client has not acknowledged is returned by Close once, what it has
// never.
func TestUnackedComeBack(t *testing.T) {
	w := newAckWorld(1<<20, 1<<20, AckFaults{})
	for i := range 5 {
		w.b.Send(w.s, fmt.Appendf(nil, "<m i='%d'/>", i), nil, nil, nil)
		w.b.Flush()
	}
	w.c.handle()
	if w.c.handled != 5 || w.c.asked != 1 {
		t.Errorf("the client got %d stanzas and was asked %d times, want 5 and 1", w.c.handled, w.c.asked)
	}
	if err := w.s.Out.Ack(2); err != nil {
		t.Fatal(err)
	}
	if left := w.close(); len(left) != 1 || string(left[0]) != "<m i='2'/><m i='3'/><m i='4'/>" {
		t.Errorf("came back: %q", left)
	}
}

// TestBeforeEnabling: stanzas that were queued before acknowledging began come back like those of
// any session; a client that has not heard of it can't come back.
func TestBeforeEnabling(t *testing.T) {
	p := newPipe(6)
	s, wg := testSession(p, 1<<20)
	var b Batch
	b.Send(s, []byte("<m i='0'/>"), nil, nil, nil)
	b.Flush()
	b.Send(s, []byte("<m i='1'/>"), nil, nil, nil)
	b.EnableAcks(s, &AckPolicy{Stanzas: 10, Every: 10, Watch: new(Watch)}, "id", 10, []byte("<enabled/>"))
	b.Send(s, []byte("<m i='2'/>"), nil, nil, nil)
	if _, ok := s.Out.Detach(nil, func() {}); ok {
		t.Error("a session whose client knows nothing of it waits for the client")
	}
	p.Abort()
	left, written := s.Out.Close()
	wg.Wait()
	if got := string(bytes.Join(left, nil)); got != "<m i='0'/><m i='1'/><enabled/><m i='2'/>" || written != 6 {
		t.Errorf("came back: %q, %d written", got, written)
	}
}

// TestAfterAcknowledged: who waits for delivery to a client that acknowledges waits for that.
func TestAfterAcknowledged(t *testing.T) {
	w := newAckWorld(1<<20, 1<<20, AckFaults{})
	ran := make(chan int, 2)
	w.b.Send(w.s, []byte("<m/>"), nil, nil, nil)
	w.s.Out.After(func() { ran <- 1 })
	w.b.Send(w.s, []byte("<m/>"), nil, nil, nil)
	w.s.Out.After(func() { ran <- 2 })
	w.b.Flush()
	if len(ran) != 0 {
		t.Error("ran before anything was acknowledged")
	}
	for i := range 2 {
		if err := w.s.Out.Ack(uint32(i + 1)); err != nil {
			t.Fatal(err)
		}
		if got := <-ran; got != i+1 || len(ran) != 0 {
			t.Errorf("%d ran at the acknowledgement of %d", got, i+1)
		}
	}
	w.close()
}

func TestAckOfTooMuch(t *testing.T) {
	w := newAckWorld(1<<20, 1<<20, AckFaults{})
	defer w.close()
	for range 3 {
		w.b.Send(w.s, []byte("<m/>"), nil, nil, nil)
	}
	a := w.s.Out.opt.acks
	var ae *AckError
	for _, h := range []uint32{4, 1000, 1 << 31, ^uint32(0)} {
		if err := w.s.Out.Ack(h); !errors.As(err, &ae) || ae.H != h || ae.Sent != 3 {
			t.Errorf("h=%d of 3: %v", h, err)
		}
	}
	if err := errors.Join(w.s.Out.Ack(0), w.s.Out.Ack(2), w.s.Out.Ack(1), w.s.Out.Ack(2)); err != nil || a.count != 1 {
		t.Errorf("acknowledged again and old: %v, %d kept", err, a.count)
	}
	// The count goes over 2^32 without a seam.
	a.acked = 1<<32 - 1
	if err := w.s.Out.Ack(0); err != nil || a.count != 0 || a.acked != 1<<32 {
		t.Errorf("over 2^32: %v, %d kept, %d acknowledged", err, a.count, a.acked)
	}
}

// TestDetachedIsBounded: a session without a connection that gets too much, or nobody comes back to,
// ends once.
func TestDetachedIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(w *ackWorld)
		want error
	}{
		"overflow": {func(w *ackWorld) {
			for w.b.Send(w.s, make([]byte, 100), nil, nil, nil) {
			}
		}, ErrOverflow},
		"time": {func(w *ackWorld) {
			for range 102 {
				w.watch.Tick()
			}
		}, ErrExpired},
		"ended": {func(w *ackWorld) { w.s.Out.Fail(ErrClosed) }, ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAckWorld(1000, 1<<20, AckFaults{})
			w.b.Send(w.s, []byte("<m/>"), nil, nil, nil)
			close(w.lost)
			<-w.gone
			if _, ok := w.s.Out.Detached(); !ok {
				t.Fatal("not detached")
			}
			tt.end(w)
			w.wg.Wait()
			if w.ended != 1 || !errors.Is(w.s.Out.Reason(), tt.want) {
				t.Errorf("ended %d times: %v", w.ended, w.s.Out.Reason())
			}
			if err := w.s.Out.Claim(t.Context(), 0); !errors.Is(err, ErrGone) {
				t.Errorf("claimed after the end: %v", err)
			}
			w.close()
			if w.watch.Tick(); len(w.watch.list) != 0 || w.ended != 1 {
				t.Errorf("%d watched behind the end; ended %d times", len(w.watch.list), w.ended)
			}
		})
	}
}

// TestSilentClient: a client that is asked and does not answer loses its connection, not its
// session.
func TestSilentClient(t *testing.T) {
	w := newAckWorld(1<<20, 1<<20, AckFaults{})
	w.b.Send(w.s, []byte("<m/>"), nil, nil, nil)
	w.b.Flush()
	w.watch.Tick()
	if w.c.handle(); w.c.asked != 1 {
		t.Fatalf("asked %d times", w.c.asked)
	}
	for range 2 {
		w.watch.Tick()
	}
	select {
	case <-w.gone:
		t.Fatal("given up too early")
	default:
	}
	w.watch.Tick()
	<-w.gone
	if err := errors.Join(w.resume(1<<20, func() {}), w.s.Out.Ack(1)); err != nil {
		t.Error(err)
	}
	w.watch.Tick()
	if len(w.watch.list) != 0 {
		t.Error("a session that waits for nothing is watched")
	}
	w.close()
}

// TestTwoClaims: of two clients that want the same session at once one gets it.
func TestTwoClaims(t *testing.T) {
	for range 50 {
		w := newAckWorld(1<<20, 1<<20, AckFaults{})
		errs := make(chan error, 2)
		for range 2 {
			go func() { errs <- w.s.Out.Claim(t.Context(), 0) }()
		}
		a, b := <-errs, <-errs
		if (a == nil) == (b == nil) || a != nil && !errors.Is(a, ErrGone) || b != nil && !errors.Is(b, ErrGone) {
			t.Errorf("two claims at once: %v, %v", a, b)
		}
		w.s.Out.Unclaim()
		w.close()
	}
}

// TestResumptionRace: senders, acknowledgements, ticks and resumptions all at once.
func TestResumptionRace(t *testing.T) {
	w := newAckWorld(1<<30, 1<<30, AckFaults{})
	const senders, each = 3, 300
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			var b Batch
			for k := range each {
				b.Send(w.s, fmt.Appendf(nil, "<m s='%d' ", i), fmt.Appendf(nil, "k='%d'/>", k), nil, nil)
				b.Flush()
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			w.watch.Tick()
		}
	})
	for range 30 {
		w.c.handle()
		_ = w.s.Out.Ack(w.c.handled)
		if err := w.resume(1<<30, func() {}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if err := w.resume(1<<30, func() {}); err != nil {
		t.Fatal(err)
	}
	w.c.handle()
	next := make([]int, senders)
	for _, m := range w.c.got {
		var i, k int
		if _, err := fmt.Sscanf(m, "<m s='%d' k='%d'/>", &i, &k); err != nil || next[i] != k {
			t.Fatalf("%q, want %d of sender %d", m, next[i], i)
		}
		next[i]++
	}
	if len(w.c.got) != senders*each {
		t.Errorf("%d stanzas, want %d", len(w.c.got), senders*each)
	}
	w.close()
}
