package mission

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

// crowd is clients that log in and stay, until the test ends.
type crowd struct {
	t    *testing.T
	ctx  context.Context //nolint:containedctx // of the clients
	runs sync.WaitGroup
}

func newCrowd(t *testing.T) *crowd {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{t: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		c.runs.Wait()
	})
	return c
}

// waiter tells when its client is logged in, and where.
type waiter chan string

func (w waiter) Up(c *xmppconn.Conn) {
	select {
	case w <- c.Addr():
	default: // it was logged in before
	}
}
func (waiter) Stanza(*xmppconn.Conn, *stanza.Stanza) bool { return false }
func (waiter) Idle(*xmppconn.Conn)                        {}
func (waiter) Down(error)                                 {}

// join logs a client in that wants one server, and returns the address of the one that has it.
func (c *crowd) join(user, zone string, at *harness.Member) string {
	up := make(waiter, 1)
	cfg := xmppconn.Config{
		JID: user + "@" + harness.Domain, Password: harness.Password, InsecurePlaintext: true, Zone: zone,
		Addrs: []string{at.Addr(c.t, "clients")}, DialTimeout: time.Minute,
	}
	c.runs.Go(func() { _ = xmppconn.Run(c.ctx, cfg, up) }) // it ends with the test
	select {
	case addr := <-up:
		return addr
	case <-time.After(5 * time.Minute):
		return "nowhere"
	}
}

// accounts are the names of users, who share the sessions.
func accounts(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("u%02d", i))
	}
	return names
}

// checkLoadSpread: 3,000 clients all want one of three servers; each server gets its third within 10%,
// and a client that can't follow stays.
func checkLoadSpread(t *testing.T) {
	const logins, workers = 3000, 30
	users := accounts(workers)
	sv := harness.StartServers(t, binary, harness.ServersOptions{
		N: 3, Users: users, Cluster: "public_c2s = \"HOST\"\n", Config: "[limits]\nsessions_per_account = 1000",
	})
	c := newCrowd(t)
	var all sync.WaitGroup
	for _, user := range users {
		all.Go(func() {
			for range logins / workers {
				c.join(user, "", sv.All[0])
			}
		})
	}
	all.Wait()
	total := 0
	for _, m := range sv.All {
		n := int(m.Metric(t, "xmppd_sessions"))
		t.Logf("%s has %d sessions", m.Name, n)
		total += n
		if n < logins*9/30 || n > logins*11/30 {
			t.Errorf("%s has %d sessions, want %d within 10%%", m.Name, n, logins/3)
		}
	}
	if total != logins {
		t.Errorf("%d sessions of %d logins", total, logins)
	}
	for range 50 { // until the first has more than the others by far
		sv.All[0].Login(t, users[0], fmt.Sprintf("plain%d", total))
		total++
	}
	if n := sv.All[0].Metric(t, "xmppd_sessions") + sv.All[1].Metric(t, "xmppd_sessions") + sv.All[2].Metric(t, "xmppd_sessions"); int(n) != total {
		t.Errorf("%v sessions, want %d: clients that don't follow stay", n, total)
	}
	if n := sv.All[0].Metric(t, "xmppd_cluster_redirects_total"); n == 0 || n != sv.All[1].Metric(t, "xmppd_cluster_redirected_total")+sv.All[2].Metric(t, "xmppd_cluster_redirected_total") {
		t.Errorf("%v clients sent away, and as many have not come", n)
	}
}
