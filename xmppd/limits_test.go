package xmppd_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// connectFrom connects from an address of this machine.
func connectFrom(t *testing.T, ip, addr string) *client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return &client{xmppraw.New(t, conn)}
}

// metrics reads what the server counts.
func metrics(t *testing.T, s *xmppd.Server) string {
	t.Helper()
	_, _, web := s.Addrs()
	resp, err := http.Get("http://" + web + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestRegistrationLimit: making accounts is limited like guessing.
func TestRegistrationLimit(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		c.Registration = "open"
		c.Limits.LoginAttemptsPerAddress, c.Limits.Exempt = 2, nil
	}})
	addr, _, _ := s.Addrs()
	for i, want := range []string{"type='result'", "<conflict ", "<resource-constraint "} {
		c := connectFrom(t, "127.0.0.1", addr)
		c.Open()
		c.Send("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>newcomer</username><password>x</password></query></iq>")
		if got := c.Want("</iq>", "id='r'/>"); !strings.Contains(got, want) {
			t.Errorf("attempt %d: %q, want %s", i, got, want)
		}
	}
	c := connectFrom(t, "127.0.0.2", addr)
	c.Open()
	if got := c.Auth(sasl.ScramSha256, "newcomer", "x"); got != "success" {
		t.Error(got)
	}
}

// TestUncountedGuess: a server that doesn't count guesses is noticed.
func TestUncountedGuess(t *testing.T) {
	for _, bug := range []bool{false, true} {
		s := startServer(t, options{c2s: c2s.Faults{UncountedGuess: bug}, cfg: func(c *xmppd.Config) {
			c.Limits.LoginAttemptsPerAddress, c.Limits.Exempt = 2, nil
		}})
		addr, _, _ := s.Addrs()
		c := connect(t, addr)
		c.Open()
		var got string
		for range 3 {
			got = c.Auth(sasl.ScramSha256, "alice", "wrong")
		}
		if unseen := strings.Contains(got, "<temporary-auth-failure/>"); unseen == bug {
			t.Errorf("with the bug %v, the third guess was answered %q", bug, got)
		}
	}
}

func TestLoginLimits(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		c.ListenHTTP = "127.0.0.1:0"
		c.Limits.LoginAttemptsPerAddress, c.Limits.LoginAttemptsPerAccount, c.Limits.Exempt = 6, 3, nil
	}})
	addr, _, _ := s.Addrs()
	try := func(ip string, mech sasl.Mechanism, user, pw string) string {
		t.Helper()
		c := connectFrom(t, ip, addr)
		c.Open()
		got := c.Auth(mech, user, pw)
		_ = c.Conn.Close()
		return got
	}
	for range 10 {
		if got := try("127.0.0.1", sasl.ScramSha256, "alice", password); got != "success" {
			t.Fatalf("right passwords are counted: %q", got)
		}
	}
	for i, mech := range []sasl.Mechanism{sasl.Plain, sasl.ScramSha1, sasl.ScramSha256} {
		if got := try("127.0.0.1", mech, "alice", fmt.Sprint(i)); !strings.Contains(got, "<not-authorized/>") {
			t.Fatalf("wrong password: %q", got)
		}
	}
	for _, mech := range []sasl.Mechanism{sasl.Plain, sasl.ScramSha256} {
		if got := try("127.0.0.1", mech, "alice", password); !strings.Contains(got, "<temporary-auth-failure/>") || !strings.Contains(got, "too many") {
			t.Errorf("fourth guess: %q", got)
		}
	}
	if got := try("127.0.0.2", sasl.ScramSha256, "alice", password); got != "success" {
		t.Errorf("the owner is locked out by another address: %q", got)
	}
	for range 3 {
		try("127.0.0.1", sasl.Plain, "nobody", "x")
	}
	if got := try("127.0.0.1", sasl.ScramSha256, "bob", password); !strings.Contains(got, "<temporary-auth-failure/>") {
		t.Errorf("an address that has guessed at many accounts: %q", got)
	}
	got := metrics(t, s)
	for _, want := range []string{`xmppd_logins_limited_total{limit="account"} 2`, `xmppd_logins_limited_total{limit="address"} 1`, `xmppd_authentications_total{mechanism="SCRAM-SHA-256"} 11`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

func TestConnectionsPerAddress(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		c.ListenHTTP = "127.0.0.1:0"
		c.Limits.ConnectionsPerAddress, c.Limits.ConnectionRatePerAddress, c.Limits.Exempt = 2, 5, nil
		c.Web.TrustedProxies = []string{"127.0.0.1"} // may read metrics as often as it likes
	}})
	addr, _, _ := s.Addrs()
	first := connectFrom(t, "127.0.0.3", addr)
	first.Open()
	connectFrom(t, "127.0.0.3", addr).Open()
	if got := connectFrom(t, "127.0.0.3", addr).Rest(); got != "" {
		t.Errorf("the third connection got %q", got)
	}
	connectFrom(t, "127.0.0.4", addr).Open()
	for i := range 6 {
		c := connectFrom(t, "127.0.0.5", addr)
		if i == 5 {
			if got := c.Rest(); got != "" {
				t.Errorf("the sixth connection within a minute got %q", got)
			}
			break
		}
		c.Open()
		c.Send("</stream:stream>")
		c.Rest()
		_ = c.Conn.Close()
		waitFor(t, func() bool { return strings.Contains(metrics(t, s), "xmppd_connections 3\n") })
	}
	got := metrics(t, s)
	for _, want := range []string{`xmppd_connections_refused_total{limit="address"} 1`, `xmppd_connections_refused_total{limit="rate"} 1`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

// bindAs logs in and asks for a resource; it returns the answer.
func bindAs(t *testing.T, s *xmppd.Server, user, resource string) (*client, string) {
	t.Helper()
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.Open()
	if got := c.Auth(sasl.ScramSha256, user, password); got != "success" {
		t.Fatal(got)
	}
	c.Open()
	return c, c.bindAgain(resource)
}

func (c *client) bindAgain(resource string) string {
	c.T.Helper()
	c.Send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	return c.Want("</iq>")
}

func TestSessionsPerAccount(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Limits.SessionsPerAccount = 2 }})
	a, _ := bindAs(t, s, "alice", "a")
	bindAs(t, s, "alice", "b")
	c, got := bindAs(t, s, "alice", "c")
	if !strings.Contains(got, "type='error'") || !strings.Contains(got, "type='wait'") || !strings.Contains(got, "<resource-constraint ") {
		t.Fatalf("third session: %q", got)
	}
	if got := c.bindAgain("b"); !strings.Contains(got, "/b</jid>") { // takes the place of one
		t.Errorf("a resource that is bound already: %q", got)
	}
	bindAs(t, s, "bob", "a")
	a.Send("</stream:stream>")
	a.Rest()
	if _, got := bindAs(t, s, "alice", "d"); !strings.Contains(got, "/d</jid>") {
		t.Errorf("after one has gone: %q", got)
	}
}

func TestConflictPolicies(t *testing.T) {
	for policy, want := range map[string]string{"refuse": "<conflict ", "rename": "<jid>alice@" + domain + "/"} {
		s := startServer(t, options{cfg: func(c *xmppd.Config) { c.ResourceConflict = policy }})
		first, _ := bindAs(t, s, "alice", "a")
		second, got := bindAs(t, s, "alice", "a")
		if !strings.Contains(got, want) || strings.Contains(got, "/a</jid>") {
			t.Errorf("%s: %q", policy, got)
		}
		if policy == "refuse" {
			if got := second.bindAgain("b"); !strings.Contains(got, "/b</jid>") {
				t.Errorf("another resource: %q", got)
			}
		}
		first.Sync()
		second.Sync()
	}
}

// waitFor polls until something is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come")
		}
	}
}
