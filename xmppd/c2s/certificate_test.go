package c2s

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/certs"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

func TestXMPPAddresses(t *testing.T) {
	for _, want := range [][]string{nil, {"alice@example.net"}, {"alice@example.net", "b\u00f6b@b\u00fccher.example"}} {
		p, err := certs.New(certs.Options{Name: "x", Client: true, Addresses: want, Lifetime: time.Hour}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := xmppAddresses(p.Leaf); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// FuzzXMPPAddresses: whatever is in the extension, only accounts of the domain come out.
func FuzzXMPPAddresses(f *testing.F) {
	for _, addrs := range [][]string{{"alice@example.net"}, {"a@example.net", "b@example.com", "@", ""}} {
		p, err := certs.New(certs.Options{Name: "x", Client: true, Addresses: addrs, Lifetime: time.Hour}, nil)
		if err != nil {
			f.Fatal(err)
		}
		for _, ext := range p.Leaf.Extensions {
			f.Add(ext.Value)
		}
	}
	f.Fuzz(func(t *testing.T, ext []byte) {
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: oidSubjectAltName(), Value: ext}}}
		for _, name := range (&ClientCertificates{}).accounts(cert, "example.net") {
			if j, err := stanza.ParseJID(name + "@example.net"); err != nil || j.Local != name {
				t.Fatalf("%q: account %q", ext, name)
			}
		}
	})
}
