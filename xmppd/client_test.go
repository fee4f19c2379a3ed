package xmppd_test

import (
	"flag"
	"log/slog"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

const (
	domain   = xmppraw.Domain
	password = xmppraw.Password
	patience = xmppraw.Patience
	header   = xmppraw.Header
)

// ioStrategy is how the tests' servers wait: all tests have to pass in both ways.
var ioStrategy = flag.String("io", "loop", "how servers wait for input: loop or goroutine")

// options of a test's server.
type options struct {
	cfg    func(*xmppd.Config)
	router router.Faults
	im     im.Faults
	c2s    c2s.Faults
	log    *logs // nil: nobody reads it
}

// startServer runs a server on loopback with the accounts alice, bob, carol (no group) and
// dn1, dn2, app (groups).
func startServer(t *testing.T, o options) *xmppd.Server {
	t.Helper()
	s := serve(t, o)
	for name, group := range map[string]string{"alice": "", "bob": "", "carol": "", "dn1": "Data nodes", "dn2": "Data nodes", "app": "Applications"} {
		if err := s.Accounts().Add(t.Context(), name, password, group); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// serve is startServer without making accounts.
func serve(t *testing.T, o options) *xmppd.Server {
	t.Helper()
	cfg := xmppd.Defaults()
	cfg.IO = *ioStrategy
	cfg.Domain, cfg.Data = domain, t.TempDir()
	cfg.ListenC2S, cfg.ListenTLS, cfg.ListenHTTP = "127.0.0.1:0", "127.0.0.1:0", ""
	cfg.InsecurePlaintext = true
	if o.cfg != nil {
		o.cfg(&cfg)
	}
	log := slog.New(slog.DiscardHandler)
	if o.log != nil {
		log = slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s, err := xmppd.StartFaulty(t.Context(), cfg, xmppd.Options{Log: log}, o.router, o.im, o.c2s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// withoutOffline is options of a server that keeps no messages.
func withoutOffline(o options) options {
	more := o.cfg
	o.cfg = func(c *xmppd.Config) {
		c.Modules.Disable = append(c.Modules.Disable, "offline")
		if more != nil {
			more(c)
		}
	}
	return o
}

// client is a client that sends and expects bytes, with what the tests of extensions add.
type client struct{ *xmppraw.Client }

func connect(t *testing.T, addr string) *client {
	t.Helper()
	return &client{xmppraw.Connect(t, addr)}
}

// login returns a client with a session over plain TCP.
func login(t *testing.T, s *xmppd.Server, user, resource string) *client {
	t.Helper()
	return &client{xmppraw.Login(t, s, user, resource)}
}

// loginTLS is login with TLS from the first byte.
func loginTLS(t *testing.T, s *xmppd.Server, user, resource string) *client {
	t.Helper()
	return &client{xmppraw.LoginTLS(t, s, user, resource)}
}

// online is login with available presence, which the server has handled.
func online(t *testing.T, s *xmppd.Server, user, resource string) *client {
	t.Helper()
	return &client{xmppraw.Online(t, s, user, resource)}
}

// entrances are the ways to log in whose streams differ afterwards.
func entrances() map[string]func(*testing.T, *xmppd.Server, string, string) *client {
	return map[string]func(*testing.T, *xmppd.Server, string, string) *client{"plain": login, "TLS": loginTLS}
}
