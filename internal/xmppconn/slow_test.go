package xmppconn

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterdb/rosterdb/internal/xmppconn/xmppconntest"
)

// pipes is a listener, and what dials it: connections within a bubble of synctest.
type pipes struct {
	come chan net.Conn
	end  chan struct{}

	mu    sync.Mutex
	after time.Duration // a connection is served so long after it was made
	tries []*try
}

// lasted is how long the attempts have lasted; 0 of one that goes on.
func (p *pipes) lasted() (all []time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.tries {
		all = append(all, c.lasted)
	}
	return all
}

// try is a client's end of a connection.
type try struct {
	net.Conn
	p      *pipes
	begun  time.Time
	lasted time.Duration // 0: it is open
}

func (c *try) Close() error {
	c.p.mu.Lock()
	if c.lasted == 0 {
		c.lasted = time.Since(c.begun)
	}
	c.p.mu.Unlock()
	return c.Conn.Close()
}

func (*try) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(context.Context, string) (net.Conn, error) {
	client, server := net.Pipe()
	c := &try{Conn: client, p: p, begun: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries = append(p.tries, c)
	time.AfterFunc(p.after, func() {
		select {
		case p.come <- server:
		case <-p.end:
		}
	})
	return c, nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.end:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.end); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// slowly has a client log in to a server that takes its time for each connection, and then to one that never
// answers; it returns how long the attempts have lasted until then, and the first one from then on.
func slowly(t *testing.T, f faults) (before []time.Duration, up bool, behind time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{after: 12 * time.Second, come: make(chan net.Conn), end: make(chan struct{})}
		s, err := xmppconntest.Start(xmppconntest.Options{Listener: p})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		r := newRecorder()
		go func() {
			defer close(done)
			if err := Run(ctx, Config{JID: "ann@localhost", Password: "secret", InsecurePlaintext: true, Addrs: []string{"server:1"}, PingAfter: time.Hour, DeadAfter: 2 * time.Hour, dial: p.dial, faults: f}, r); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		before = p.lasted()
		r.note(func() { up = len(r.up) > 0 })
		p.mu.Lock()
		p.after = 24 * time.Hour
		p.mu.Unlock()
		s.Drop()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		behind = p.lasted()[len(before)]
		cancel()
		<-done
		s.Close()
	})
	return before, up, behind
}

// TestSlowLogin: an attempt may take longer than those that were given up before, and after a login no longer than the first.
func TestSlowLogin(t *testing.T) {
	before, up, behind := slowly(t, faults{})
	if !up {
		t.Fatalf("no login; attempts lasted %v", before)
	}
	given := before[:len(before)-1]
	if len(given) == 0 || given[0] != DefaultDialTimeout || before[len(before)-1] != 0 {
		t.Errorf("attempts lasted %v", before)
	}
	for i, d := range given {
		if most := DefaultDialTimeout << i; d > most || d < most*3/4 {
			t.Errorf("attempt %d lasted %v", i, d)
		}
	}
	if behind != DefaultDialTimeout {
		t.Errorf("behind a login an attempt lasted %v", behind)
	}
	if before, up, _ := slowly(t, faults{hasty: true}); up {
		t.Errorf("a login in spite of the planted mistake; attempts lasted %v", before)
	}
}

func TestTryTime(t *testing.T) {
	for _, c := range []struct {
		first  time.Duration
		given  int
		random float64
		want   time.Duration
	}{
		{5 * time.Second, 0, 0.9, 5 * time.Second},
		{5 * time.Second, 1, 0, 10 * time.Second},
		{5 * time.Second, 2, 0.5, 17500 * time.Millisecond},
		{5 * time.Second, 4, 0, time.Minute},
		{5 * time.Second, 1000, 0, time.Minute},
		{5 * time.Second, 1000, 1, 45 * time.Second},
		{2 * time.Minute, 3, 1, 2 * time.Minute},
	} {
		if got := tryTime(c.first, c.given, c.random); got != c.want {
			t.Errorf("%v, %d given up, %v: %v, want %v", c.first, c.given, c.random, got, c.want)
		}
	}
}
