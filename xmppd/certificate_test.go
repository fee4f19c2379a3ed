package xmppd_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/certs"
	"github.com/rosterdb/rosterdb/xmppd"
)

// certificateFor writes a certificate with a common name, of a host, and returns the files.
func certificateFor(t *testing.T, dir, name, host string, lifetime time.Duration) (cert, key string) {
	t.Helper()
	p, err := certs.New(certs.Options{Name: name, Hosts: []string{host}, Lifetime: lifetime}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := p.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	for file, text := range map[string][]byte{cert: p.CertPEM(), key: pem} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestBadCertificateIsTold: a certificate that clients refuse is warned about, when the server starts
// and when it reads it again; one that they take is not.
func TestBadCertificateIsTold(t *testing.T) {
	const year = 365 * 24 * time.Hour
	dir := t.TempDir()
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS = domain, filepath.Join(dir, "data"), "127.0.0.1:0", ""
	cfg.TLSCert, cfg.TLSKey = certificateFor(t, dir, "other.example", "other.example", year)
	var log logs
	s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if got := log.String(); !strings.Contains(got, "level=WARN msg=\"the certificate does not name the domain") || !strings.Contains(got, "other.example") {
		t.Errorf("at start: %s", got)
	}
	for _, tt := range []struct {
		host     string
		lifetime time.Duration
		want     string // warning; empty: none
	}{
		{domain, -time.Minute, "the certificate has expired"},
		{domain, 24 * time.Hour, "the certificate expires soon"},
		{"*." + domain, year, "the certificate does not name the domain"}, // of subdomains only
		{domain, year, ""},
	} {
		before := len(log.String())
		certificateFor(t, dir, tt.host, tt.host, tt.lifetime)
		if err := s.Reload(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		got := log.String()[before:]
		if !strings.Contains(got, "changed=\"[tls_cert tls_key]\"") || !strings.Contains(got, "until=") {
			t.Errorf("the new certificate is not named: %s", got)
		}
		if warned := strings.Contains(got, "level=WARN"); warned != (tt.want != "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s for %s: %s", tt.host, tt.lifetime, got)
		}
	}
	before := len(log.String())
	if err := s.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := log.String()[before:]; !strings.Contains(got, "changed=[]") {
		t.Errorf("nothing has changed: %s", got)
	}
}

// TestRenewedSecretIsTold: a new secret in the same file is among what has changed.
func TestRenewedSecretIsTold(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(secret, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS = domain, t.TempDir(), "127.0.0.1:0", ""
	cfg.Auth.Source, cfg.Auth.URL, cfg.Auth.SecretFile = "http", "http://127.0.0.1:1/", secret
	var log logs
	s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	write("second")
	if err := s.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, "changed=[auth.secret_file]") || strings.Contains(got, "second") {
		t.Error(got)
	}
}
