package xmppd_test

import (
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
)

// founder is the configuration of a server that founds a cluster.
func founder(t *testing.T, ca *clustertest.Authority) xmppd.Config {
	t.Helper()
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS = domain, t.TempDir(), "127.0.0.1:0", ""
	cfg.Cluster = xmppd.ClusterOf(t, ca, "x1")
	return cfg
}

// TestOwnCertificateIsChecked: a server does not start with a certificate that the other servers would refuse, and says why.
func TestOwnCertificateIsChecked(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for want, change := range map[string]func(*xmppd.Config, *clustertest.Authority){
		"is not of the authority in cluster.ca": func(c *xmppd.Config, _ *clustertest.Authority) {
			clustertest.New(t).Renew(t, "x1", filepath.Dir(c.Cluster.Cert), year)
		},
		"so the other servers refuse it: renew it": func(c *xmppd.Config, ca *clustertest.Authority) {
			ca.Renew(t, "x1", filepath.Dir(c.Cluster.Cert), -time.Minute)
		},
		"the authority of": func(c *xmppd.Config, _ *clustertest.Authority) {
			old := clustertest.NewFor(t, -time.Minute)
			c.Cluster.CA, c.Cluster.Cert, c.Cluster.Key = old.Files(t, "x1")
		},
		"has to name the server x1": func(c *xmppd.Config, ca *clustertest.Authority) {
			ca.Renew(t, "x2", filepath.Dir(c.Cluster.Cert), year)
		},
	} {
		ca := clustertest.New(t)
		cfg := founder(t, ca)
		change(&cfg, ca)
		s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			_ = s.Close()
			t.Fatalf("started; want %q", want)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// shownTo is the number of the certificate that a server shows others.
func shownTo(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it is only looked at
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestRenewedClusterCertificate: one that ends soon is warned about, at the start and again; a renewed one is shown without a restart,
// a bad one is not, and a new authority waits for one.
func TestRenewedClusterCertificate(t *testing.T) {
	const soon = "the certificate expires soon; then the other servers will refuse it"
	ca := clustertest.New(t)
	cfg := founder(t, ca)
	dir := filepath.Dir(cfg.Cluster.Cert)
	ca.Renew(t, "x1", dir, 24*time.Hour)
	var log logs
	s, err := xmppd.StartTogether(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, xmppd.Together{LookEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	eventually(t, "the end is warned of again", func() bool { return strings.Count(log.String(), soon) > 2 })

	old := shownTo(t, s.Node().Addr())
	clustertest.New(t).Renew(t, "x1", dir, 24*time.Hour)
	if err := s.Reload(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "is not of the authority") {
		t.Errorf("another authority's: %v", err)
	}
	if now := shownTo(t, s.Node().Addr()); now != old {
		t.Error("a certificate that was refused is shown")
	}

	ca.Renew(t, "x1", dir, 365*24*time.Hour)
	before := len(log.String())
	if err := s.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := log.String()[before:]; !strings.Contains(got, `changed="[cluster.cert cluster.key]"`) || !strings.Contains(got, "certificate for other servers") {
		t.Errorf("the new certificate is not named: %s", got)
	}
	if now := shownTo(t, s.Node().Addr()); now == old {
		t.Error("the old certificate is shown still")
	}

	other, _, _ := clustertest.New(t).Files(t, "x1")
	text, err := os.ReadFile(other)
	if err == nil {
		err = os.WriteFile(cfg.Cluster.CA, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		before = len(log.String())
		if err := s.Reload(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if got := log.String()[before:]; !strings.Contains(got, "wait for a restart") || !strings.Contains(got, "keys=[cluster.ca]") {
			t.Errorf("the new authority is not named: %s", got)
		}
	}
}
