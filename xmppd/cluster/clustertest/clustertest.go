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
	pair, err := certs.New(certs.Options{Name: "cluster", Authority: true, Lifetime: time.Hour}, nil)
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
	return a.sign(t, name).TLS()
}

func (a *Authority) sign(t testing.TB, name string) *certs.Pair {
	t.Helper()
	p, err := certs.New(certs.Options{Name: name, Hosts: []string{name}, Lifetime: time.Hour}, a.pair)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Files writes the certificate of the authority, and those of a server, into a directory.
func (a *Authority) Files(t testing.TB, name string) (ca, cert, key string) {
	t.Helper()
	p := a.sign(t, name)
	pem, err := p.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(file string, content []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("ca.pem", a.pair.CertPEM()), write("cert.pem", p.CertPEM()), write("key.pem", pem)
}
