package session

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// trustedSession is a session of a data node, whose senders take turns.
func trustedSession(p *pipe, limit int, faults PoolFaults) (*Session, *sync.WaitGroup) {
	wg := new(sync.WaitGroup)
	s := New(stanza.JID{Local: "dn1", Domain: "b", Resource: "store"})
	s.Out.Init(&Pool{Faults: faults}, p, limit, func(f func()) bool { wg.Go(f); return true })
	s.Out.Trust(s.Bare)
	return s, wg
}

// message is a stanza of a sender, numbered, in the pieces in which the router has it.
func message(from string, n, size int) (p0, p1, p2 []byte) {
	return []byte("<message"), []byte(" from='" + from + "'"), fmt.Appendf(nil, " id='%d'>%s</message>", n, strings.Repeat("x", size))
}

// TestSendersTakeTurns: what a sender who floods has waiting is passed by what others send, whatever way it comes. The
// planted mistake is one queue for all.
func TestSendersTakeTurns(t *testing.T) {
	const limit, size = 64 << 20, 10_000
	for _, planted := range []bool{false, true} {
		p := newPipe(0)
		s, wg := trustedSession(p, limit, PoolFaults{OneQueue: planted})
		var b Batch
		flood := 0
		for ; flood < 1000; flood++ {
			p0, p1, p2 := message("app@b/1", flood, size)
			if b.Offer(s, p0, p1, p2, nil) != Took {
				break
			}
		}
		urgent := []byte(`<message to='dn1@b/store' type="normal" from = "dn2@b/store" id='urgent'/>`)
		if b.Offer(s, urgent, nil, nil, nil) != Took {
			t.Fatal("a stanza of somebody else is refused")
		}
		b.Flush()
		p.grant(limit)
		if !s.Out.Finish(nil, time.Minute) {
			t.Fatal("not written")
		}
		wg.Wait()
		got := p.got()
		at := bytes.Index(got, urgent)
		if at < 0 || bytes.Count(got, []byte("</message>")) != flood {
			t.Fatalf("%d of %d stanzas of the flood, the other one at %d", bytes.Count(got, []byte("</message>")), flood, at)
		}
		if first := at < 4*fairFrom; first == planted {
			t.Errorf("planted %v: of %d bytes the other's stanza came behind %d", planted, len(got), at)
		}
	}
}

// TestBusy: who has too much waiting is told so, others are not, and nobody's session ends for it, unless nothing at
// all is read for long.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, size = 8 << 20, 10_000
		p := newPipe(0)
		s, wg := trustedSession(p, limit, PoolFaults{})
		var b Batch
		offer := func(from string) Taken {
			p0, p1, p2 := message(from, 0, size)
			return b.Offer(s, p0, p1, p2, nil)
		}
		for i := range 20 {
			from, sent := fmt.Sprintf("app%d@b/1", i), 0
			for offer(from) == Took {
				sent++
			}
			b.Flush()
			if sent == 0 {
				t.Fatalf("the %dth sender is refused at once", i)
			}
			if offer(from+"2") == Took {
				t.Error("another resource of the account has a share of its own")
			}
		}
		p0, p1, p2 := message("app0@b/1", 1, size)
		if !b.Send(s, p0, p1, p2, nil) {
			t.Error("what must not go back is refused")
		}
		if err := s.Out.Reason(); err != nil {
			t.Fatalf("the session has ended: %v", err)
		}
		p.grant(limit / 4 * 3)
		synctest.Wait()
		time.Sleep(stuckAfter - time.Second)
		if offer("app0@b/1") != Took {
			t.Error("refused though there is room again")
		}
		p.grant(limit / 10)
		synctest.Wait() // the network has taken something
		time.Sleep(stuckAfter - time.Second)
		for offer("app0@b/1") == Took {
		}
		if err := s.Out.Reason(); err != nil {
			t.Errorf("ended though it reads: %v", err)
		}
		time.Sleep(2 * time.Second)
		if offer("app0@b/1") != Refused || !errors.Is(s.Out.Reason(), ErrOverflow) {
			t.Errorf("it has read nothing for long, and goes on: %v", s.Out.Reason())
		}
		s.Out.Close()
		wg.Wait()
	})
}

// TestTurnsKeepOrder: what was taken in is written or given back, once, and in order for each sender, whatever the
// kernel takes when, and whatever makes one queue of it again.
func TestTurnsKeepOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPipe(0)
		s, wg := trustedSession(p, 2<<20, PoolFaults{})
		var b Batch
		taken := map[string][]int{}
		acks := false
		for i := range rapid.IntRange(20, 120).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				b.Flush()
			case 1:
				p.grant(rapid.IntRange(0, 100_000).Draw(rt, "grant"))
			case 2:
				s.Out.After(func() {})
			case 3:
				if !acks && i > 100 {
					acks = b.EnableAcks(s, &AckPolicy{Stanzas: 1000, Every: 1000, Patience: 60, Watch: new(Watch)}, "", 0, []byte("<enabled/>"))
				}
			default:
				from := fmt.Sprintf("app%d@b", rapid.IntRange(0, 3).Draw(rt, "from"))
				p0, p1, p2 := message(from+"/x", i, rapid.IntRange(0, 60_000).Draw(rt, "size"))
				if b.Offer(s, p0, p1, p2, nil) == Took {
					taken[from] = append(taken[from], i)
				}
			}
		}
		b.Flush()
		p.Abort()
		left, written := s.Out.Close()
		wg.Wait()
		all := p.got()
		if acks {
			all = nil // what is kept comes again
		}
		for i, run := range left {
			if i == 0 && !acks {
				run = run[written:]
			}
			all = append(all, run...)
		}
		got := map[string][]int{}
		for _, m := range strings.Split(string(all), "<message from='")[1:] {
			var n int
			from, rest, _ := strings.Cut(m, "/x' id='")
			if _, err := fmt.Sscanf(rest, "%d'", &n); err != nil {
				rt.Fatal(err)
			}
			got[from] = append(got[from], n)
		}
		for from, want := range taken {
			if g := got[from]; acks && len(g) > 0 && slices.Equal(g, want[len(want)-len(g):]) {
				continue // the rest was written before
			} else if !acks && !slices.Equal(g, want) {
				rt.Fatalf("of %s %v were taken in, %v are written or given back", from, want, g)
			}
		}
		if n := s.Out.pool.Queued(); n != 0 {
			rt.Fatalf("%d bytes are counted behind the end", n)
		}
	})
}

func TestFromIn(t *testing.T) {
	for in, want := range map[string]string{
		`<message from='a@b/c' to='d'>`:        "a@b/c",
		`<iq type="get" to='x' from = "a@b">`:  "a@b",
		`<message to='d'><x from='e'/>`:        "",
		`<message xfrom='1' to=' from=' id=''`: "",
		`<message`:                             "",
	} {
		got, _, _ := bytes.Cut(fromIn([]byte(in)), []byte{in[max(0, strings.LastIndexAny(in, `'"`))]})
		if string(got) != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// TestShareBitesFirst: however small the limit of the queue is, one fast sender is told that too much of it waits, and neither ends
// the session nor keeps others out. The planted mistake is to look for its share only where 128 KiB wait.
func TestShareBitesFirst(t *testing.T) {
	for _, limit := range []int{50_000, 100_000, 150_000, 300_000, 1 << 20} {
		for _, size := range []int{100, 10_000, 40_000} {
			got, p, s, wg := fastSender(limit, size, PoolFaults{})
			if got != Busy {
				t.Errorf("limit %d, stanzas of %d: %v, %v", limit, size, got, s.Out.Reason())
			}
			var b Batch
			p0, p1, p2 := message("dn2@b/store", 0, 100)
			if took := b.Offer(s, p0, p1, p2, nil); took != Took {
				t.Errorf("limit %d, stanzas of %d: somebody else's is not taken: %v", limit, size, took)
			}
			p.grant(2 * limit)
			b.Flush()
			if !s.Out.Finish(nil, time.Minute) || bytes.Count(p.got(), []byte("dn2@b")) != 1 {
				t.Errorf("limit %d, stanzas of %d: it is not written: %v", limit, size, s.Out.Reason())
			}
			wg.Wait()
		}
	}
	got, _, s, wg := fastSender(150_000, 10_000, PoolFaults{LateTurns: true})
	if got != Refused || !errors.Is(s.Out.Reason(), ErrOverflow) {
		t.Errorf("the planted bug does not show: %v", got)
	}
	wg.Wait()
}

// fastSender sends to a session that does not read until it is not taken any more, and returns what it was told then.
func fastSender(limit, size int, f PoolFaults) (Taken, *pipe, *Session, *sync.WaitGroup) {
	p := newPipe(0)
	s, wg := trustedSession(p, limit, f)
	for i := 0; ; i++ {
		var b Batch
		p0, p1, p2 := message("app@b/1", i, size)
		took := b.Offer(s, p0, p1, p2, nil)
		b.Flush()
		if took != Took {
			return took, p, s, wg
		}
	}
}
