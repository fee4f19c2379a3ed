package session

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// runDebts plays a client whose stanzas wait now and then, and are handled in any order, and returns what is wrong with what
// it is told.
func runDebts(rt *rapid.T, f AckFaults) error {
	p := newPipe(1 << 20)
	s, wg := testSession(p, 1<<20)
	s.In = math.MaxUint32 - rapid.Uint32Range(0, 20).Draw(rt, "before") // it is counted modulo 2^32
	var b Batch
	b.EnableAcks(s, &AckPolicy{Stanzas: 1000, Every: 1000, Watch: new(Watch), Faults: f}, "id", 100, nil)
	defer func() {
		s.Out.Fail(ErrClosed)
		_, _ = s.Out.Close()
		wg.Wait()
	}()
	type open struct {
		n    int
		debt Debt
	}
	var waits []open
	routed, asked, told := 0, 0, 0 // told: of the last answer
	handled := func() int {
		n := routed
		for _, w := range waits {
			n = min(n, w.n)
		}
		return n
	}
	for range rapid.IntRange(1, 60).Draw(rt, "steps") {
		before := len(p.got())
		want := ""
		switch step := rapid.IntRange(0, 5).Draw(rt, "step"); {
		case step < 2:
			if step == 0 {
				waits = append(waits, open{routed, s.Later()})
			}
			s.In++
			routed++
		case step < 4 && len(waits) > 0:
			i := rapid.IntRange(0, len(waits)-1).Draw(rt, "which")
			w := waits[i]
			waits = append(waits[:i], waits[i+1:]...)
			w.debt.Paid(&b)
			if told < asked && handled() >= asked {
				told = asked
				want = fmt.Sprintf("<a xmlns='%s' h='%d'/>", NSAck, asked)
			}
		case step == 4:
			b.SendNonza(s, s.AppendAck(nil))
			asked, told = routed, handled()
			want = fmt.Sprintf("<a xmlns='%s' h='%d'/>", NSAck, told)
		}
		b.Flush()
		if got := string(p.got()[before:]); got != want {
			return fmt.Errorf("%d routed, %d wait, asked at %d: told %q, not %q", routed, len(waits), asked, got, want)
		}
		if h, _ := s.Handled(); int(h) != routed {
			return fmt.Errorf("%d of %d will be handled", h, routed)
		}
	}
	return nil
}

// TestDebts: a client is told of no stanza that waits, nor of any behind it, and of those that it has asked for once they are handled.
func TestDebts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if err := runDebts(rt, AckFaults{}); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestNoticesAckEarly: the planted bug shows.
func TestNoticesAckEarly(t *testing.T) {
	found := false
	rapid.Check(t, func(rt *rapid.T) {
		if err := runDebts(rt, AckFaults{AckEarly: true}); err != nil {
			found = found || strings.Contains(err.Error(), "told")
		}
	})
	if !found {
		t.Error("nobody notices that what waits is acknowledged")
	}
}

// TestAwaitHandled: who goes on with a session waits for what its client has sent, as long as it wants to.
func TestAwaitHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAckWorld(1<<20, 1<<20, AckFaults{})
		defer w.close()
		w.s.Out.AwaitHandled(t.Context()) // there is nothing
		first, second := w.s.Later(), w.s.Later()
		var waits [2]bool
		for i := range waits {
			waits[i] = true
			go func() {
				w.s.Out.AwaitHandled(t.Context())
				waits[i] = false
			}()
		}
		given, stop := context.WithCancel(t.Context())
		stop()
		w.s.Out.AwaitHandled(given)
		for i, d := range []Debt{second, first} {
			synctest.Wait()
			if waits != [2]bool{true, true} {
				t.Errorf("%d are handled: %v", i, waits)
			}
			d.Paid(&w.b)
		}
		synctest.Wait()
		if waits != [2]bool{} {
			t.Errorf("all are handled: %v", waits)
		}
	})
}
