package session

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe is a transport whose kernel buffer holds `room` more bytes.
type pipe struct {
	mu      sync.Mutex
	more    sync.Cond
	room    int
	out     []byte
	p       []byte
	n       int
	aborted bool
	abort   chan struct{} // closed when aborted
	writes  int
}

func newPipe(room int) *pipe {
	p := &pipe{room: room, abort: make(chan struct{})}
	p.more.L = &p.mu
	return p
}

var errAborted = errors.New("aborted")

func (p *pipe) push() {
	n := min(p.room, len(p.p)-p.n)
	p.out = append(p.out, p.p[p.n:p.n+n]...)
	p.n += n
	p.room -= n
}

func (p *pipe) TryWrite(b []byte) (int, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	if p.aborted {
		return 0, false, errAborted
	}
	p.p, p.n = b, 0
	p.push()
	return p.n, p.n < len(b), nil
}

func (p *pipe) Finish() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.push(); p.n < len(p.p); p.push() {
		if p.aborted {
			return p.n, errAborted
		}
		p.more.Wait()
	}
	return p.n, nil
}

func (p *pipe) Abort() {
	p.mu.Lock()
	if !p.aborted {
		p.aborted = true
		close(p.abort)
	}
	p.more.Broadcast()
	p.mu.Unlock()
}

func (p *pipe) grant(n int) {
	p.mu.Lock()
	p.room += n
	p.more.Broadcast()
	p.mu.Unlock()
}

func (p *pipe) got() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.out)
}

func testSession(p *pipe, limit int) (*Session, *sync.WaitGroup) {
	wg := new(sync.WaitGroup)
	s := New(stanza.JID{Local: "a", Domain: "b", Resource: "c"})
	s.Out.Init(new(Pool), p, limit, func(f func()) bool { wg.Go(f); return true })
	return s, wg
}

// TestNothingVanishes: what was taken in is written in order, or given back by Close, whatever the
// kernel takes when.
func TestNothingVanishes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPipe(rapid.IntRange(0, 300).Draw(rt, "room"))
		s, wg := testSession(p, rapid.IntRange(50, 500).Draw(rt, "limit"))
		var b Batch
		var taken []byte
		for i := range rapid.IntRange(0, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				b.Flush()
			case 1:
				p.grant(rapid.IntRange(0, 100).Draw(rt, "grant"))
			default:
				m := fmt.Appendf(nil, "<%d%s>", i, bytes.Repeat([]byte("x"), rapid.IntRange(0, 40).Draw(rt, "len")))
				if b.Send(s, m[:1], m[1:2], nil, m[2:]) {
					taken = append(taken, m...)
				}
			}
		}
		b.Flush()
		p.Abort()
		left, written := s.Out.Close()
		wg.Wait()
		all := p.got()
		for i, run := range left {
			if i == 0 {
				run = run[written:]
			}
			all = append(all, run...)
		}
		if !bytes.Equal(all, taken) {
			rt.Fatalf("taken in %q, written or returned %q", taken, all)
		}
		if b.Send(s, []byte("late"), nil, nil, nil) {
			rt.Fatal("a closed outbox takes things in")
		}
	})
}

func TestFinishWaits(t *testing.T) {
	p := newPipe(3)
	s, wg := testSession(p, 1000)
	var b Batch
	b.Send(s, []byte("hello "), nil, nil, nil)
	b.Flush()
	done := make(chan bool)
	go func() { done <- s.Out.Finish([]byte("bye"), time.Minute) }()
	for range 100 {
		p.grant(1)
	}
	if ok := <-done; !ok || string(p.got()) != "hello bye" {
		t.Errorf("finished %v with %q", ok, p.got())
	}
	wg.Wait()
}

func TestFinishGivesUp(t *testing.T) {
	p := newPipe(3)
	s, wg := testSession(p, 1000)
	if s.Out.Finish([]byte("never read"), time.Millisecond) {
		t.Error("finished though nobody reads")
	}
	left, written := s.Out.Close()
	if len(left) != 1 || string(left[0]) != "never read" || written != 3 {
		t.Errorf("left %q, %d", left, written)
	}
	wg.Wait()
}

func TestOverflow(t *testing.T) {
	p := newPipe(0)
	s, wg := testSession(p, 100)
	var b Batch
	big := make([]byte, 1000)
	if !b.Send(s, big, nil, nil, nil) {
		t.Error("a single stanza larger than the limit is refused")
	}
	if b.Send(s, []byte("x"), nil, nil, nil) || !errors.Is(s.Out.Reason(), ErrOverflow) {
		t.Errorf("no overflow: %v", s.Out.Reason())
	}
	b.Flush()
	s.Out.Close()
	wg.Wait()
}

// TestOneWrite: what comes together before a flush is written at once, and an empty outbox holds
// no memory.
func TestOneWrite(t *testing.T) {
	p := newPipe(1 << 20)
	s, _ := testSession(p, 1<<20)
	var b Batch
	for range 100 {
		b.Send(s, []byte("x"), nil, nil, nil)
	}
	b.Flush()
	if p.writes != 1 || len(b.dirty) != 0 || s.Out.q != nil || s.Out.w != nil {
		t.Errorf("%d writes; outbox %+v", p.writes, &s.Out)
	}
}

// TestPush: much is written before the sender is through, but by one goroutine at a time, and in order.
func TestPush(t *testing.T) {
	p := newPipe(pushAt + 5)
	s, wg := testSession(p, 1<<20)
	var b Batch
	big := bytes.Repeat([]byte("x"), pushAt-1)
	b.Send(s, big, nil, nil, nil)
	if p.writes != 0 {
		t.Fatal("written though more may come")
	}
	b.Send(s, []byte("y"), nil, nil, nil)
	if p.writes != 1 || len(p.got()) != pushAt {
		t.Fatalf("%d writes of %d bytes", p.writes, len(p.got()))
	}
	b.Send(s, big, []byte("y"), nil, nil) // the kernel takes five bytes of it
	b.Send(s, big, []byte("z"), nil, nil) // somebody writes already
	if p.writes != 2 {
		t.Fatalf("%d writes", p.writes)
	}
	b.Flush()
	p.grant(1 << 20)
	if !s.Out.Finish(nil, time.Minute) {
		t.Fatal("not finished")
	}
	want := string(big) + "y" + string(big) + "y" + string(big) + "z"
	if string(p.got()) != want {
		t.Error("not what was sent")
	}
	wg.Wait()
}

// TestConcurrentSenders: each sender's stanzas arrive whole and in order.
func TestConcurrentSenders(t *testing.T) {
	p := newPipe(100)
	s, wg := testSession(p, 1<<30)
	const senders, each = 4, 500
	var senderWG sync.WaitGroup
	for i := range senders {
		senderWG.Go(func() {
			var b Batch
			for k := range each {
				b.Send(s, fmt.Appendf(nil, "%d:", i), fmt.Appendf(nil, "%d ", k), nil, nil)
				if k%3 == 0 {
					b.Flush()
				}
			}
			b.Flush()
		})
	}
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				p.grant(50)
			}
		}
	}()
	senderWG.Wait()
	if !s.Out.Finish(nil, time.Minute) {
		t.Fatal("not finished")
	}
	close(stop)
	wg.Wait()
	next := make([]int, senders)
	for _, f := range bytes.Fields(p.got()) {
		var i, k int
		if _, err := fmt.Sscanf(string(f), "%d:%d", &i, &k); err != nil || next[i] != k {
			t.Fatalf("%q, want %d of sender %d", f, next[i], i)
		}
		next[i]++
	}
	for i, n := range next {
		if n != each {
			t.Errorf("%d stanzas of sender %d", n, i)
		}
	}
}

// TestTableModel compares the table with a map.
func TestTableModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := NewTable()
		model := map[string]*Session{}
		var all []*Session
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			if len(all) > 0 && rapid.Bool().Draw(rt, "unbind") {
				s := all[rapid.IntRange(0, len(all)-1).Draw(rt, "which")]
				listed := model[s.Full] == s
				if table.Unbind(s) != listed {
					rt.Fatalf("unbind of %s", s.Full)
				}
				if listed {
					delete(model, s.Full)
					table.Left(s)
				}
				continue
			}
			s := New(stanza.JID{Local: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "user"), Domain: "d", Resource: rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "res")})
			all = append(all, s)
			if old, err := table.Bind(s, Rule{}); err != nil || old != model[s.Full] {
				rt.Fatalf("bind of %s returned %v", s.Full, old)
			} else if old != nil {
				table.Left(old)
			}
			model[s.Full] = s
		}
		users := map[string]int{}
		for full, s := range model {
			if table.Get(full) != s || table.Lookup([]byte(full)) != s {
				rt.Fatalf("%s not found", full)
			}
			users[s.Bare]++
		}
		for _, bare := range []string{"a@d", "b@d"} {
			u := table.User(bare)
			if (u != nil) != (users[bare] > 0) || u != nil && len(u.Sessions()) != users[bare] {
				rt.Fatalf("user %s: %v, want %d sessions", bare, u, users[bare])
			}
		}
		if table.Count() != len(model) {
			rt.Fatalf("count %d, want %d", table.Count(), len(model))
		}
	})
}

// TestLookupOfEscaped: the bytes of an attribute are looked up as they are, and must not find a
// session whose name looks like them.
func TestLookupOfEscaped(t *testing.T) {
	table := NewTable()
	for _, resource := range []string{"a&b", "a&amp;b", "plain"} {
		if _, err := table.Bind(New(stanza.JID{Local: "u", Domain: "d", Resource: resource}), Rule{}); err != nil {
			t.Fatal(err)
		}
	}
	for raw, want := range map[string]bool{"u@d/plain": true, "u@d/a&amp;b": false, "u@d/a&amp;amp;b": false} {
		if s := table.Lookup([]byte(raw)); (s != nil) != want {
			t.Errorf("%s finds %v", raw, s)
		}
	}
}

// TestRefusedHasUser: a session that the table doesn't list knows its account all the same.
func TestRefusedHasUser(t *testing.T) {
	table := NewTable()
	if _, err := table.Bind(New(stanza.JID{Local: "u", Domain: "d", Resource: "r"}), Rule{}); err != nil {
		t.Fatal(err)
	}
	s := New(stanza.JID{Local: "u", Domain: "d", Resource: "r"})
	if _, err := table.Bind(s, Rule{Keep: true}); !errors.Is(err, ErrTaken) {
		t.Fatal(err)
	}
	if s.User() == nil || table.Unbind(s) {
		t.Errorf("user %v", s.User())
	}
}
