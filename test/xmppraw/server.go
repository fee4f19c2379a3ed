// Package xmppraw is for tests that look at an XMPP server through its sockets: a server in the
// test's process, and clients that send bytes and wait for bytes.
package xmppraw

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
)

// What the servers of Start have in common.
const (
	Domain   = "example.net"
	Password = "pencil"
	// Patience is for things that happen at once on an idle machine.
	Patience = time.Minute
)

// Start runs a server on loopback, with accounts alice, bob, carol and mallory, until the end of
// the test. The functions change its configuration; login without TLS is allowed unless they say
// otherwise.
func Start(t testing.TB, change ...func(*xmppd.Config)) *xmppd.Server {
	t.Helper()
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data = Domain, t.TempDir()
	cfg.ListenC2S, cfg.ListenTLS, cfg.ListenHTTP = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.InsecurePlaintext = true
	for _, f := range change {
		f(&cfg)
	}
	s, err := xmppd.Start(context.Background(), cfg, xmppd.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"alice", "bob", "carol", "mallory"} {
		if err := s.Accounts().Add(context.Background(), name, Password, ""); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
