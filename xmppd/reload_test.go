package xmppd_test

import (
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/xmppd"
)

func TestReload(t *testing.T) {
	dir := t.TempDir()
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS = domain, filepath.Join(dir, "data"), "127.0.0.1:0", "127.0.0.1:0"
	cfg.TLSCert, cfg.TLSKey = certificateFor(t, dir, "first", domain, time.Hour)
	cfg.Auth.Mechanisms = []string{"PLAIN"}
	var log logs
	level := new(slog.LevelVar)
	s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})), Level: level})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Accounts().Add(t.Context(), "alice", password, ""); err != nil {
		t.Fatal(err)
	}
	_, addr, _ := s.Addrs()
	tickets := &tls.Config{ServerName: domain, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	look := func() (name, features string, c *client) {
		t.Helper()
		c = dialTLS(t, addr, tickets)
		features = c.Open()
		return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName, features, c
	}
	name, features, old := look()
	if name != "first" || strings.Contains(features, "SCRAM") || strings.Contains(features, "iq-register") {
		t.Fatalf("before: %s, %s", name, features)
	}

	for want, change := range map[string]func(*xmppd.Config){
		"registration is":     func(c *xmppd.Config) { c.Registration = "maybe" },
		"load certificate":    func(c *xmppd.Config) { c.TLSCert, c.TLSKey = filepath.Join(dir, "none"), filepath.Join(dir, "none") },
		"auth.client_ca":      func(c *xmppd.Config) { c.Auth.ClientCA = cfg.TLSKey },
		"auth.secret_file":    func(c *xmppd.Config) { c.Auth.Source, c.Auth.URL, c.Auth.SecretFile = "http", "http://x/", dir },
		"no certificate in P": func(c *xmppd.Config) { c.Auth.ClientCA = cfg.TLSKey },
	} {
		bad := cfg
		bad.Auth.Mechanisms = nil
		change(&bad)
		if err := s.Reload(t.Context(), bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a configuration that can't work: %v, want %q", err, want)
		}
	}
	if _, features, _ := look(); strings.Contains(features, "SCRAM") {
		t.Error("a refused configuration has changed something")
	}

	certificateFor(t, dir, "second", domain, time.Hour)
	now := cfg
	now.Auth.Mechanisms, now.Registration, now.LogLevel, now.Limits.Depth, now.Limits.SessionsPerAccount = nil, "open", "debug", 50, 1
	pw := filepath.Join(dir, "password")
	if err := os.WriteFile(pw, []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	now.Accounts = []xmppd.AccountConfig{{Name: "fresh", PasswordFile: pw}}
	if err := s.Reload(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	name, features, fresh := look()
	if name != "second" || !strings.Contains(features, "SCRAM-SHA-256-PLUS") || !strings.Contains(features, "iq-register") {
		t.Errorf("after: %s, %s", name, features)
	}
	if level.Level() != slog.LevelDebug {
		t.Errorf("log level %v", level.Level())
	}
	if got := log.String(); !strings.Contains(got, "wait for a restart") || !strings.Contains(got, "limits.depth") || strings.Contains(got, "keys=\"[limits.sessions") {
		t.Errorf("log: %s", got)
	}
	// Streams that were there go on, with what they were offered.
	if got := old.Auth(sasl.ScramSha256, "alice", password); !strings.Contains(got, "<invalid-mechanism/>") {
		t.Errorf("a stream from before: %q", got)
	}
	if got := old.Auth(sasl.Plain, "alice", password); got != "success" {
		t.Errorf("a stream from before: %q", got)
	}
	if got := fresh.Auth(sasl.ScramSha256, "fresh", "new"); got != "success" {
		t.Error(got)
	}
	// The same again changes nothing that waits.
	if err := s.Reload(t.Context(), now); err != nil {
		t.Error(err)
	}
}
