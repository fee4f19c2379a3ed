package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

const (
	stormAccounts = 30
	stormEach     = 10 // sessions of each account
	stormRate     = 60 // logins a second that a server takes: the others wait for their turn
	stormAtOnce   = 40 // that log in at first
	// stormSpare is how many more could wait in the line of a server that half of the clients come to: it takes those that wait for 4 s
	// at most.
	stormSpare = 4*stormRate - stormAccounts*stormEach/2
)

// storm is the clients of a server that is to be killed.
type storm struct {
	mu     sync.Mutex
	up     int
	killed time.Time
	back   []time.Duration // since then
	ended  int             // streams, since then
	late   int             // tries that took too long
	busy   int             // tries that a server could not look at, and said so
	failed []error         // tries that ended in another way
}

// stormClient is one of them; slot is given back when it is there for the first time.
type stormClient struct {
	*storm
	slot sync.Once
	in   func()
	has  bool // a stream, until retry
}

func (c *stormClient) Up(*xmppconn.Conn) {
	c.slot.Do(c.in)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up++
	c.has = true
	if !c.killed.IsZero() {
		c.back = append(c.back, time.Since(c.killed))
	}
}

func (c *stormClient) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool { return st.Kind != stanza.IQ }
func (c *stormClient) Idle(*xmppconn.Conn)                             {}

func (c *stormClient) Down(error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up--
}

// retry is told of each try that has failed, and of each stream that has ended.
func (c *stormClient) retry(err error, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var slow net.Error
	switch {
	case c.has:
		c.has = false
		c.ended++
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		c.late++ // this machine's doing
	case strings.Contains(err.Error(), "temporary-auth-failure"):
		c.busy++ // the same: records could not be read in time
	case errors.Is(err, syscall.ECONNREFUSED): // by the dead server, which is the next one to be tried behind one that took too long
	default:
		c.failed = append(c.failed, err)
	}
}

func (s *storm) there(n int) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.up == n
	}
}

// TestStorm kills one of three servers with 300 clients, which all want to log in at the two others at once, more than these take in a
// second. They wait for their turn: each loses its stream once and is back with the client's own time-outs, and none is refused, unless the
// machine is so slow that more have given up and come again than the lines have room for.
func TestStorm(t *testing.T) {
	var users []string
	for i := range stormAccounts {
		users = append(users, fmt.Sprint("storm", i))
	}
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Users: users, Config: fmt.Sprintf("[limits]\nlogins_per_second = %d", stormRate)})
	addr := func(i int) string { return sv.All[i].Addr(t, "clients") }
	const clients = stormAccounts * stormEach
	s := new(storm)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	slots := make(chan struct{}, stormAtOnce)
	for i := range clients {
		slots <- struct{}{}
		c := &stormClient{storm: s, in: func() { <-slots }}
		addrs := []string{addr(2), addr(i % 2), addr(1 - i%2)}
		wg.Go(func() {
			_ = xmppconn.Run(ctx, xmppconn.Config{ // it ends with the context's error
				JID: users[i%stormAccounts] + "@" + harness.Domain, Password: harness.Password, Resource: fmt.Sprint("r", i), Addrs: addrs,
				InsecurePlaintext: true, OnRetry: c.retry,
			}, c)
			c.slot.Do(c.in)
		})
	}
	harness.Eventually(t, harness.Patience, "all clients are there", s.there(clients))
	s.mu.Lock()
	s.killed, s.ended, s.late, s.busy, s.failed = time.Now(), 0, 0, 0, nil
	s.mu.Unlock()
	sv.All[2].Kill(t)
	harness.Eventually(t, harness.Patience, "all clients are back", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.up == clients && len(s.back) >= clients
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.back)
	t.Logf("%d clients back, the last but one in a hundred after %v; %v waited for their turn; %d tries took too long, %d could not be looked at",
		clients, s.back[clients*99/100].Round(time.Millisecond), sv.Sum("xmppd_logins_queued_total"), s.late, s.busy)
	if s.ended != clients {
		t.Errorf("%d streams ended, not the %d of the server that was killed", s.ended, clients)
	}
	if s.late+s.busy > stormSpare {
		return
	}
	if refused := sv.Sum("xmppd_connections_refused_total"); refused > 0 {
		t.Errorf("%v were refused", refused)
	}
	if len(s.failed) > 0 {
		t.Errorf("%d tries failed: %v", len(s.failed), s.failed)
	}
}
