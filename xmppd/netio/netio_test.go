package netio_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/xmppd/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// each runs a test with both strategies.
func each(t *testing.T, test func(t *testing.T, s netio.Strategy)) {
	t.Run("goroutines", func(t *testing.T) { run(t, netio.NewGoroutines(), test) })
	for _, loops := range []int{1, 2} {
		s, err := netio.NewEventLoop(loops)
		if err != nil {
			t.Fatal(err)
		}
		t.Run("loop", func(t *testing.T) { run(t, s, test) })
	}
}

func run(t *testing.T, s netio.Strategy, test func(t *testing.T, s netio.Strategy)) {
	test(t, s)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if err := within(t, closed); err != nil {
		t.Error(err)
	}
}

func within[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing happens")
		panic("unreachable")
	}
}

// connect returns both ends of a connection, the first one adopted.
func connect(t *testing.T, s netio.Strategy) (netio.Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of a test
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Adopt(near)
	if err != nil {
		t.Fatal(err)
	}
	return c, far.(*net.TCPConn)
}

// handler collects what comes in.
type handler struct {
	conn    netio.Conn
	size    int                 // of a read; 0: 100
	onRound func(*netio.Runner) // before anything is read
	onEnd   func()
	got     chan []byte
	ended   chan error

	mu      sync.Mutex
	running bool
	err     error
}

func start(s netio.Strategy, c netio.Conn, h *handler) *handler {
	h.conn, h.got, h.ended = c, make(chan []byte, 10000), make(chan error, 1)
	s.Start(c, h)
	return h
}

func (h *handler) Ready(r *netio.Runner) netio.Next {
	h.mu.Lock()
	if h.running {
		h.err = errors.New("two goroutines run one handler")
	}
	h.running = true
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.running = false
		h.mu.Unlock()
	}()
	if h.onRound != nil {
		h.onRound(r)
	}
	size := h.size
	if size == 0 {
		size = 100
	}
	for range 3 {
		p := make([]byte, size)
		n, err := h.conn.Read(p)
		switch {
		case errors.Is(err, netio.ErrAgain):
			return netio.Wait
		case err != nil:
			if h.err == nil {
				h.err = err
			}
			return netio.Done
		}
		h.got <- p[:n]
	}
	return netio.Soon
}

func (h *handler) End() {
	if h.onEnd != nil {
		h.onEnd()
	}
	err := h.err
	if cerr := h.conn.Close(); cerr != nil {
		err = errors.Join(err, cerr)
	}
	h.ended <- err
}

// expect waits for bytes.
func (h *handler) expect(t *testing.T, want []byte) {
	t.Helper()
	var got []byte
	for len(got) < len(want) {
		got = append(got, within(t, h.got)...)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes that differ from the %d sent", len(got), len(want))
	}
}

// TestAllArrives: pieces of all sizes, and an end that comes together with the last one.
func TestAllArrives(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		c, far := connect(t, s)
		h := start(s, c, &handler{})
		var all []byte
		for n := range 300 {
			p := bytes.Repeat([]byte{byte(n)}, n)
			all = append(all, p...)
			if _, err := far.Write(p); err != nil {
				t.Fatal(err)
			}
			if n%50 == 0 {
				h.expect(t, all)
				all = nil
			}
		}
		if err := far.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		h.expect(t, all)
		if err := within(t, h.ended); !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestEarlyInput: what has come before Start, its end included.
func TestEarlyInput(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		for range 50 {
			c, far := connect(t, s)
			if _, err := far.Write([]byte("early")); err != nil {
				t.Fatal(err)
			}
			if err := far.Close(); err != nil {
				t.Fatal(err)
			}
			h := start(s, c, &handler{})
			h.expect(t, []byte("early"))
			if err := within(t, h.ended); !errors.Is(err, io.EOF) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

// TestWriteWait: a reader that is slow gets everything, and Write never waits for it.
func TestWriteWait(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		c, far := connect(t, s)
		h := start(s, c, &handler{})
		big := make([]byte, 32<<20)
		for i := range big {
			big[i] = byte(i >> 10)
		}
		n, err := c.Write(big)
		if !errors.Is(err, netio.ErrAgain) || n >= len(big) {
			t.Fatalf("wrote %d of %d: %v", n, len(big), err)
		}
		wrote := make(chan error, 1)
		go func() {
			k, err := c.WriteWait(big[n:])
			if err == nil && k != len(big)-n {
				err = io.ErrShortWrite
			}
			wrote <- err
		}()
		got := make([]byte, len(big))
		if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, big) {
			t.Fatalf("not all arrived: %v", err)
		}
		if err := within(t, wrote); err != nil {
			t.Error(err)
		}
		_ = far.Close()
		within(t, h.ended)
	})
}

// TestAbort: it ends a write that waits, and the Handler finds out without input.
func TestAbort(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		c, far := connect(t, s)
		big := make([]byte, 32<<20)
		wrote := make(chan error, 1)
		go func() {
			_, err := c.WriteWait(big)
			wrote <- err
		}()
		if _, err := io.ReadFull(far, make([]byte, 1000)); err != nil { // it has begun
			t.Fatal(err)
		}
		writer := make(chan error, 1)
		h := start(s, c, &handler{onEnd: func() { writer <- <-wrote }}) // closes when nobody writes
		c.Abort()
		if err := within(t, writer); !errors.Is(err, netio.ErrAborted) {
			t.Errorf("write: %v", err)
		}
		if err := within(t, h.ended); !errors.Is(err, netio.ErrAborted) {
			t.Errorf("handler: %v", err)
		}
	})
}

// TestAbortBeforeStart: the Handler finds out at its first call.
func TestAbortBeforeStart(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		for range 20 {
			c, _ := connect(t, s)
			done := make(chan bool)
			go func() {
				c.Abort()
				c.Wake()
				close(done)
			}()
			h := start(s, c, &handler{})
			<-done
			if err := within(t, h.ended); !errors.Is(err, netio.ErrAborted) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

// ending is a Handler whose connection is aborted and then used for last words.
type ending struct {
	conn netio.Conn
	read chan error
}

func (e *ending) Ready(*netio.Runner) netio.Next {
	if _, err := e.conn.Read(make([]byte, 10)); errors.Is(err, netio.ErrAborted) {
		return netio.Done
	}
	return netio.Wait
}

func (e *ending) End() {
	e.conn.Resume()
	_, err := e.conn.WriteWait([]byte("bye"))
	e.read <- err
	_, err = e.conn.ReadWait(make([]byte, 10), time.Now().Add(20*time.Millisecond))
	e.read <- err
	_, err = e.conn.ReadWait(make([]byte, 10), time.Now().Add(patience))
	e.read <- err
	e.read <- e.conn.CloseWrite()
	_, err = e.conn.ReadWait(make([]byte, 10), time.Now().Add(patience))
	e.read <- err
	e.read <- e.conn.Close()
}

// TestLastWords: after Resume the connection works again, with waiting and a limit of time.
func TestLastWords(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		c, far := connect(t, s)
		e := &ending{conn: c, read: make(chan error, 10)}
		s.Start(c, e)
		c.Abort()
		if err := within(t, e.read); err != nil {
			t.Errorf("write: %v", err)
		}
		if err := within(t, e.read); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read without input: %v", err)
		}
		if _, err := far.Write([]byte("what?")); err != nil {
			t.Fatal(err)
		}
		if err := within(t, e.read); err != nil {
			t.Errorf("read: %v", err)
		}
		if got, err := io.ReadAll(far); err != nil || string(got) != "bye" {
			t.Errorf("the peer got %q, %v", got, err)
		}
		if err := within(t, e.read); err != nil {
			t.Errorf("close our half: %v", err)
		}
		_ = far.Close()
		if err := within(t, e.read); !errors.Is(err, io.EOF) {
			t.Errorf("read at the end: %v", err)
		}
		if err := within(t, e.read); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// TestLeave: a Handler that blocks after Leave holds nobody up, and misses nothing.
func TestLeave(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		c1, far1 := connect(t, s)
		c2, far2 := connect(t, s)
		c3, far3 := connect(t, s) // with two loops, one of them shares c1's
		blocked, release := make(chan bool, 10), make(chan bool)
		h1 := start(s, c1, &handler{onRound: func(r *netio.Runner) {
			r.Leave()
			r.Leave()
			blocked <- true
			<-release
		}})
		within(t, blocked)
		h2, h3 := start(s, c2, &handler{}), start(s, c3, &handler{})
		for range 20 {
			for _, f := range []*net.TCPConn{far1, far2, far3} {
				if _, err := f.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			h2.expect(t, []byte("x"))
			h3.expect(t, []byte("x"))
		}
		close(release)
		h1.expect(t, bytes.Repeat([]byte("x"), 20))
		for _, f := range []*net.TCPConn{far1, far2, far3} {
			_ = f.Close()
		}
		for _, h := range []*handler{h1, h2, h3} {
			if err := within(t, h.ended); !errors.Is(err, io.EOF) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

// TestWake: the Handler is called though nothing has come, and reads on afterwards.
func TestWake(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		c, far := connect(t, s)
		called := make(chan bool, 1000)
		h := start(s, c, &handler{onRound: func(*netio.Runner) { called <- true }})
		within(t, called)
		for range 10 {
			for len(called) > 0 {
				<-called
			}
			c.Wake()
			within(t, called)
			if _, err := far.Write([]byte("y")); err != nil {
				t.Fatal(err)
			}
			h.expect(t, []byte("y"))
		}
		_ = far.Close()
		within(t, h.ended)
	})
}

// TestRounds: what a Runner's handlers put off is done before it waits.
func TestRounds(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		c, far := connect(t, s)
		after := make(chan bool, 1000)
		h := start(s, c, &handler{onRound: func(r *netio.Runner) {
			if r.Local == nil {
				r.Local = true
				r.AfterRound(func() { after <- true })
			}
		}})
		within(t, after)
		for range 5 {
			if _, err := far.Write([]byte("z")); err != nil {
				t.Fatal(err)
			}
			h.expect(t, []byte("z"))
			within(t, after)
		}
		_ = far.Close()
		within(t, h.ended)
	})
}

// TestMany: connections come and go, some with a lot to read, and none is mixed up with another.
func TestMany(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		var wg sync.WaitGroup
		for i := range 40 {
			c, far := connect(t, s)
			h := start(s, c, &handler{size: 1 + i})
			want := bytes.Repeat([]byte{byte(i)}, 2000)
			wg.Go(func() {
				_, _ = far.Write(want)
				if i%3 == 0 {
					c.Wake()
				}
				_ = far.Close()
			})
			if i%2 == 0 {
				h.expect(t, want)
				if err := within(t, h.ended); !errors.Is(err, io.EOF) {
					t.Errorf("ended with %v", err)
				}
				continue
			}
			wg.Go(func() { <-h.ended })
		}
		wg.Wait()
	})
}

// greedy wants to be called again at once, a few times, after it has blocked.
type greedy struct {
	conn   netio.Conn
	rounds int
	after  chan int // rounds so far, when what was put off is done
	ended  chan bool
}

func (g *greedy) Ready(r *netio.Runner) netio.Next {
	if g.rounds == 0 {
		r.AfterRound(func() { g.after <- g.rounds })
		r.Leave()
	}
	if g.rounds++; g.rounds < 4 {
		return netio.Soon
	}
	return netio.Done
}

func (g *greedy) End() {
	_ = g.conn.Close()
	g.ended <- true
}

// TestRoundsAfterLeave: a Handler that has left the loop and always has more to read does not keep
// others from what it owes them.
func TestRoundsAfterLeave(t *testing.T) {
	each(t, func(t *testing.T, s netio.Strategy) {
		c, _ := connect(t, s)
		g := &greedy{conn: c, after: make(chan int, 100), ended: make(chan bool, 1)}
		s.Start(c, g)
		within(t, g.ended)
		done := map[int]bool{}
		for len(g.after) > 0 {
			done[<-g.after] = true
		}
		for n := 1; n < 4; n++ {
			if !done[n] {
				t.Errorf("after call %d nothing was done of what it has put off: %v", n, done)
			}
		}
	})
}
