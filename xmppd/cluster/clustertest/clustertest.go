// Package clustertest makes what a cluster of servers needs in a test: an authority, certificates, a
// key, and addresses on loopback.
package clustertest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/certs"
)

// Authority signs the certificates of one cluster.
type Authority struct {
	pair *certs.Pair
	Pool *x509.CertPool
}

// New makes an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	return NewFor(t, lifetime)
}

// NewFor makes an authority for some time from now on; a negative one is over.
func NewFor(t testing.TB, lifetime time.Duration) *Authority {
	t.Helper()
	pair, err := certs.New(certs.Options{Name: "cluster", Authority: true, Lifetime: lifetime}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return &Authority{pair, pool}
}

// Sign makes a certificate for a server.
func (a *Authority) Sign(t testing.TB, name string) tls.Certificate {
	t.Helper()
	return a.sign(t, name, lifetime).TLS()
}

// lifetime is that of certificates, unless a test wants another one: longer than what a server warns of.
const lifetime = 365 * 24 * time.Hour

func (a *Authority) sign(t testing.TB, name string, lifetime time.Duration) *certs.Pair {
	t.Helper()
	p, err := certs.New(certs.Options{Name: name, Hosts: []string{name}, Lifetime: lifetime}, a.pair)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Files writes the certificate of the authority, and those of a server, into a directory.
func (a *Authority) Files(t testing.TB, name string) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = a.Renew(t, name, dir, lifetime)
	ca = filepath.Join(dir, "ca.pem")
	write(t, ca, a.pair.CertPEM())
	return ca, cert, key
}

// Renew writes a new certificate of a server, and its key, into a directory, over those that Files has made.
func (a *Authority) Renew(t testing.TB, name, dir string, lifetime time.Duration) (cert, key string) {
	t.Helper()
	p := a.sign(t, name, lifetime)
	pem, err := p.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, p.CertPEM())
	write(t, key, pem)
	return cert, key
}

func write(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
