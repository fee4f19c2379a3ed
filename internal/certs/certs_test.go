package certs

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

func verify(p *Pair, root *Pair, host string) error {
	roots := x509.NewCertPool()
	roots.AddCert(root.Leaf)
	_, err := p.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
	return err
}

func issue(t *testing.T, o Options, issuer *Pair) *Pair {
	t.Helper()
	p, err := New(o, issuer)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestIssued: a certificate is good for its hosts, under its issuer alone, and
// both files make a pair again.
func TestIssued(t *testing.T) {
	ca := issue(t, Options{Name: "authority", Authority: true, Lifetime: time.Hour}, nil)
	other := issue(t, Options{Name: "authority", Authority: true, Lifetime: time.Hour}, nil)
	server := issue(t, Options{Name: "ring.example", Hosts: []string{"ring.example", "127.0.0.1", "::1"}, Lifetime: time.Hour}, ca)
	for _, host := range []string{"ring.example", "127.0.0.1", "::1"} {
		if err := verify(server, ca, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if verify(server, ca, "other.example") == nil || verify(server, other, "ring.example") == nil {
		t.Error("it is good for another host or under another authority")
	}
	if sub := issue(t, Options{Name: "x", Hosts: []string{"x.example"}, Lifetime: time.Hour}, server); verify(sub, ca, "x.example") == nil {
		t.Error("a server's certificate could sign another")
	}
	key, err := server.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(server.CertPEM(), key); err != nil {
		t.Error(err)
	}
}

// TestSelfSigned: an authority of its own with a host verifies under itself.
func TestSelfSigned(t *testing.T) {
	p := issue(t, Options{Name: "a.example", Hosts: []string{"a.example"}, Authority: true, Lifetime: time.Hour}, nil)
	if err := verify(p, p, "a.example"); err != nil {
		t.Error(err)
	}
	old := issue(t, Options{Name: "a.example", Hosts: []string{"a.example"}, Authority: true, Lifetime: -time.Minute}, nil)
	if verify(old, old, "a.example") == nil {
		t.Error("an expired one verifies")
	}
}
