package session

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// pooled is a session of a pool, whose client reads nothing.
func pooled(pool *Pool, wg *sync.WaitGroup, limit int) (*Session, *pipe) {
	p := newPipe(0)
	s := New(stanza.JID{Local: "a", Domain: "b", Resource: "c"})
	s.Out.Init(pool, p, limit, func(f func()) bool { wg.Go(f); return true })
	return s, p
}

// TestBudget: queues that nobody reads grow to the budget of all, and not beyond but for small ones
// and those that are trusted; when they have ended, nothing is counted.
func TestBudget(t *testing.T) {
	const sessions, limit, budget, size = 40, 1 << 20, 4 << 20, 1000
	run := func(budget int) (held int) {
		pool, wg := &Pool{Budget: budget}, new(sync.WaitGroup)
		var all []*Session
		var b Batch
		for range sessions {
			s, _ := pooled(pool, wg, limit)
			all = append(all, s)
		}
		m := make([]byte, size)
		full := make(map[*Session]int)
		for len(full) < sessions {
			for _, s := range all {
				if full[s] != 0 {
					continue
				}
				if b.Send(s, m, nil, nil, nil) {
					held += size
					continue
				}
				s.Out.mu.Lock()
				full[s] = s.Out.waiting()
				s.Out.mu.Unlock()
				if full[s] < budgetStep || !errors.Is(s.Out.Reason(), ErrOverflow) {
					t.Errorf("a queue of %d bytes has ended: %v", full[s], s.Out.Reason())
				}
				if within := full[s]+size <= limit; within != errors.Is(s.Out.Reason(), ErrBudget) {
					t.Errorf("a queue of %d bytes has ended: %v", full[s], s.Out.Reason())
				}
			}
			b.Flush()
		}
		small, _ := pooled(pool, wg, limit)
		for range budgetStep / size {
			if !b.Send(small, m, nil, nil, nil) {
				t.Error("a small queue pays for the others")
			}
		}
		trusted, _ := pooled(pool, wg, limit)
		trusted.Out.Trust("dn1@localhost")
		for range limit / size {
			if !b.Send(trusted, m, nil, nil, nil) {
				t.Fatal("the budget is for those that are trusted, too")
			}
		}
		if b.Send(trusted, m, nil, nil, nil) {
			t.Error("a trusted queue has no limit")
		}
		b.Flush()
		for _, s := range append(all, small, trusted) {
			s.Out.Fail(ErrClosed)
			s.Out.Close()
		}
		wg.Wait()
		if n := pool.Queued(); n != 0 {
			t.Errorf("%d bytes are counted behind the end", n)
		}
		return held
	}
	const most = budget + sessions*budgetStep
	if held := run(budget); held > most || held < budget {
		t.Errorf("%d bytes wait, with a budget of %d", held, budget)
	}
	if held := run(0); held < 2*most {
		t.Errorf("%d bytes wait without a budget: the test shows nothing", held)
	}
}

// TestBudgetIsGivenBack: what a client reads, acknowledges or takes over on another connection is
// counted once, and no longer.
func TestBudgetIsGivenBack(t *testing.T) {
	const half = 5 * budgetStep
	pool, wg := &Pool{Budget: 1 << 20}, new(sync.WaitGroup)
	counted := func(what string, want int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); pool.Queued() != want; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d bytes are counted, want %d", what, pool.Queued(), want)
			}
		}
	}
	s, p := pooled(pool, wg, 1<<20)
	var b Batch
	m := make([]byte, 10_000)
	for sent := 0; sent < half; sent += len(m) {
		b.Send(s, m, nil, nil, nil)
	}
	b.Flush()
	counted("queued", half)
	p.grant(1 << 20)
	counted("read", 0)

	b.EnableAcks(s, &AckPolicy{Stanzas: 1000, Every: 1000, Patience: 60, Watch: new(Watch)}, "id", 300, nil)
	for sent := 0; sent < half; sent += len(m) {
		b.Send(s, m, nil, nil, nil)
	}
	b.Flush()
	counted("read and not acknowledged", half)
	if _, ok := s.Out.Detach(nil, func() {}); !ok {
		t.Fatal("not detached")
	}
	counted("without a connection", half)
	if err := s.Out.Claim(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	p = newPipe(0)
	b.Attach(s, p, []byte("<resumed/>"))
	counted("to be sent again", 2*half-budgetStep) // one is acknowledged
	b.Flush()
	p.grant(1 << 20)
	counted("read again", half-budgetStep)
	n, _ := s.Out.Unacked()
	if err := s.Out.Ack(uint32(1 + n)); err != nil { //nolint:gosec // small
		t.Fatal(err)
	}
	counted("acknowledged", 0)
	s.Out.Fail(ErrClosed)
	s.Out.Close()
	wg.Wait()
}
