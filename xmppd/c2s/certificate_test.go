package c2s

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
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

func TestCertificateNames(t *testing.T) {
	email := func(s string) pkix.Name {
		return pkix.Name{CommonName: "Bob", Names: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: s}}}
	}
	c := ClientCertificates{Names: []CertificateName{{Email: "bob@mail.example", Account: "bob"}, {CommonName: "Bob", Account: "robert"}}}
	for _, tt := range []struct {
		cert *x509.Certificate
		want []string
	}{
		{&x509.Certificate{Subject: email("bob@mail.example")}, []string{"bob", "robert"}},
		{&x509.Certificate{Subject: email("x@mail.example"), EmailAddresses: []string{"bob@mail.example"}}, []string{"bob", "robert"}},
		{&x509.Certificate{Subject: email("x@mail.example")}, []string{"robert"}},
		{&x509.Certificate{Subject: pkix.Name{CommonName: "bob"}}, nil},
		{&x509.Certificate{}, nil},
	} {
		if got := c.accounts(tt.cert, "example.net"); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.cert.Subject, got, tt.want)
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
