package xmppd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/account"
)

// portal is another system that has the users: zoe with the password "opener".
func portal(t *testing.T) *httptest.Server {
	t.Helper()
	k256, k1, err := account.Derive("opener", 0)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ User, Domain, Password string }
		if r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.User != "zoe" || q.Domain != domain {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if r.URL.Path == "/keys" {
			_ = json.NewEncoder(w).Encode(map[string]account.Keys{"scram_sha_256": k256, "scram_sha_1": k1})
			return
		}
		_, _ = fmt.Fprintf(w, `{"ok":%v}`, q.Password == "opener")
	}))
	t.Cleanup(srv.Close)
	return srv
}

func withSource(t *testing.T, url, keys string) func(*xmppd.Config) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *xmppd.Config) {
		c.Auth.Source, c.Auth.URL, c.Auth.KeysURL, c.Auth.SecretFile = "http", url, keys, secret
	}
}

func TestHTTPSource(t *testing.T) {
	p := portal(t)
	for _, keys := range []string{"", p.URL + "/keys"} {
		s := startServer(t, options{cfg: withSource(t, p.URL, keys)})
		addr, _, _ := s.Addrs()
		c := connect(t, addr)
		if f := c.Open(); strings.Contains(f, "SCRAM") != (keys != "") || !strings.Contains(f, "<mechanism>PLAIN</mechanism>") {
			t.Fatalf("offered with keys at %q: %q", keys, f)
		}
		mechs := []sasl.Mechanism{sasl.Plain}
		if keys != "" {
			mechs = append(mechs, sasl.ScramSha256, sasl.ScramSha1)
		}
		for _, mech := range mechs {
			c := connect(t, addr)
			c.Open()
			// alice is known here, but not to the source.
			for _, wrong := range [][2]string{{"zoe", "wrong"}, {"alice", password}} {
				if got := c.Auth(mech, wrong[0], wrong[1]); !strings.Contains(got, "<not-authorized/>") {
					t.Errorf("%s of %s: %q", mech.Name, wrong[0], got)
				}
			}
			if got := c.Auth(mech, "Zoe", "opener"); got != "success" {
				t.Fatalf("%s: %q", mech.Name, got)
			}
			c.Open()
			c.Bind("r")
			// The account has a roster now.
			c.Send("<iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='alice@" + domain + "'/></query></iq>")
			c.Want("id='r1'")
			c.Send("<iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>")
			if got := c.Want("</iq>", "type='error'"); !strings.Contains(got, "alice@"+domain) {
				t.Errorf("roster: %q", got)
			}
		}
	}
}

// TestCloseWhileLoggingIn: a source that says nothing does not keep the server from ending.
func TestCloseWhileLoggingIn(t *testing.T) {
	asked, release := make(chan struct{}, 1), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	t.Cleanup(srv.Close)
	defer close(release)
	change := withSource(t, srv.URL, "")
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		change(c)
		c.Auth.TimeoutSeconds = 3600
	}})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.Open()
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHpvZQBvcGVuZXI=</auth>")
	<-asked
	done := make(chan error, 1)
	go func() { done <- s.Close() }()
	if got := c.Rest(); !strings.Contains(got, "<system-shutdown ") {
		t.Errorf("told at shutdown: %q", got)
	}
	_ = c.Conn.Close()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the server does not end")
	}
}

// TestHTTPSourceDead: a source that accepts and says nothing costs a login its time-out, and later
// ones nothing; nobody else waits.
func TestHTTPSourceDead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			defer func() { _ = c.Close() }() // says nothing until then
			asked.Add(1)
		}
	}()
	defer func() { _ = l.Close(); <-ended }()
	change := withSource(t, "http://"+l.Addr().String(), "")
	log := new(logs)
	s := startServer(t, options{log: log, cfg: func(c *xmppd.Config) {
		change(c)
		c.Auth.TimeoutSeconds = 1
	}})
	addr, _, _ := s.Addrs()
	first := make([]*client, 5) // as many failures in a row as it takes to stop asking
	for i := range first {
		first[i] = connect(t, addr)
		first[i].Open()
		first[i].Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHpvZQBvcGVuZXI=</auth>")
	}
	for _, c := range first {
		if got := c.Want("</failure>"); !strings.Contains(got, "<temporary-auth-failure/>") {
			t.Errorf("a source that says nothing: %q", got)
		}
	}
	before, begin := asked.Load(), time.Now()
	for range 20 {
		c := connect(t, addr)
		c.Open()
		if got := c.Auth(sasl.Plain, "zoe", "opener"); !strings.Contains(got, "<temporary-auth-failure/>") {
			t.Errorf("a source that is not asked: %q", got)
		}
	}
	if n, d := asked.Load()-before, time.Since(begin); n > 2+int64(d/(5*time.Second)) { // one in five seconds tries again
		t.Errorf("of 20 logins, in %v, %d have asked", d, n)
	}
	// Whoever bans addresses by the log bans nobody for it.
	got := log.String()
	if strings.Contains(got, "authentication failed") || strings.Count(got, "a login could not be looked at") != 1 || strings.Count(got, "level=WARN msg=\"the source of logins is given up") != 1 {
		t.Error(got)
	}
}

// TestPasswordsAreElsewhere: a password that would count for nothing is refused, until the server has
// the users itself.
func TestPasswordsAreElsewhere(t *testing.T) {
	p := portal(t)
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS = domain, t.TempDir(), "127.0.0.1:0", ""
	with := cfg
	withSource(t, p.URL, "")(&with)
	s, err := xmppd.Start(t.Context(), with, xmppd.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Accounts().Add(t.Context(), "alice", password, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Accounts().SetPassword(t.Context(), "alice", "other"); !errors.Is(err, account.ErrInvalid) || !strings.Contains(err.Error(), "change it there") {
		t.Errorf("with another source: %v", err)
	}
	if err := s.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := s.Accounts().SetPassword(t.Context(), "alice", "other"); err != nil {
		t.Errorf("with accounts of its own: %v", err)
	}
}
