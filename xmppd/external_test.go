package xmppd_test

import (
	"crypto/tls"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/certs"
	"github.com/rosterdb/rosterdb/xmppd"
)

// authority makes a certificate that signs others and its PEM file.
func authority(t *testing.T) (*certs.Pair, string) {
	t.Helper()
	ca, err := certs.New(certs.Options{Name: "clients", Authority: true, Lifetime: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return ca, file
}

func clientCert(t *testing.T, ca *certs.Pair, o certs.Options) tls.Certificate {
	t.Helper()
	o.Client = true
	if o.Lifetime == 0 {
		o.Lifetime = time.Hour
	}
	p, err := certs.New(o, ca)
	if err != nil {
		t.Fatal(err)
	}
	return p.TLS()
}

// external sends EXTERNAL for an address and returns the answer.
func (c *client) external(authzid string) string {
	c.T.Helper()
	text := "="
	if authzid != "" {
		text = base64.StdEncoding.EncodeToString([]byte(authzid))
	}
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>" + text + "</auth>")
	return c.Want("-sasl'/>", "</failure>")
}

func TestExternal(t *testing.T) {
	ca, file := authority(t)
	other, _ := authority(t)
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		c.Auth.ClientCA = file
		c.Auth.Certificates = []xmppd.CertificateNameConfig{{Email: "bob@mail.example", Account: "bob"}, {CommonName: "Carol", Account: "Carol"}, {CommonName: "Gone", Account: "gone"}}
	}})
	plain, direct, _ := s.Addrs()
	for _, tt := range []struct {
		name    string
		cert    tls.Certificate
		authzid string
		want    string // the account; empty: EXTERNAL is not offered; "!": refused
	}{
		{"address", clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"alice@" + domain}}), "", "alice"},
		{"prepared", clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"ALICE@Example.NET"}}), "alice@" + domain, "alice"},
		{"no subject", clientCert(t, ca, certs.Options{Addresses: []string{"alice@" + domain}}), "", "alice"},
		{"another's address", clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"alice@" + domain}}), "bob@" + domain, "!"},
		{"two, one wanted", clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"alice@" + domain, "bob@" + domain}}), "bob@" + domain, "bob"},
		{"two, none wanted", clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"alice@" + domain, "bob@" + domain}}), "", "!"},
		{"two, one of another domain", clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"alice@" + domain, "bob@example.com"}}), "", "alice"},
		{"email", clientCert(t, ca, certs.Options{Name: "x", Emails: []string{"bob@mail.example"}}), "", "bob"},
		{"common name", clientCert(t, ca, certs.Options{Name: "Carol"}), "", "carol"},
		{"common name beside an address", clientCert(t, ca, certs.Options{Name: "Carol", Addresses: []string{"alice@" + domain}}), "", "alice"},
		{"address that is an email", clientCert(t, ca, certs.Options{Name: "x", Emails: []string{"alice@" + domain}}), "", ""},
		{"no account", clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"nobody@" + domain}}), "", ""},
		{"mapped to no account", clientCert(t, ca, certs.Options{Name: "Gone"}), "", ""},
		{"full JID", clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"alice@" + domain + "/r"}}), "", ""},
		{"another authority", clientCert(t, other, certs.Options{Name: "x", Addresses: []string{"alice@" + domain}}), "", ""},
		{"expired", clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"alice@" + domain}, Lifetime: -time.Second}), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialTLS(t, direct, &tls.Config{Certificates: []tls.Certificate{tt.cert}})
			if offered := strings.Contains(c.Open(), "<mechanism>EXTERNAL</mechanism>"); offered != (tt.want != "") {
				t.Fatalf("offered: %v", offered)
			}
			got := c.external(tt.authzid)
			switch tt.want {
			case "":
				if !strings.Contains(got, "<invalid-mechanism/>") {
					t.Errorf("not offered, but answered %q", got)
				}
			case "!":
				if !strings.Contains(got, "<invalid-authzid/>") {
					t.Errorf("for %q: %q", tt.authzid, got)
				}
			default:
				if !strings.Contains(got, "<success") {
					t.Fatal(got)
				}
				c.Open()
				c.Bind("r")
				if c.JID != tt.want+"@"+domain+"/r" {
					t.Errorf("bound %s", c.JID)
				}
			}
		})
	}
	t.Run("STARTTLS and resumption", func(t *testing.T) {
		sessions := tls.NewLRUClientSessionCache(4)
		cert := clientCert(t, ca, certs.Options{Name: "x", Addresses: []string{"alice@" + domain}})
		for _, resumed := range []bool{false, true} {
			c := connect(t, plain)
			if strings.Contains(c.Open(), "EXTERNAL") {
				t.Error("EXTERNAL offered without TLS")
			}
			c.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			c.Want("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			c.StartTLS(func(cfg *tls.Config) { cfg.ClientSessionCache, cfg.Certificates = sessions, []tls.Certificate{cert} })
			c.Open()
			if c.Conn.(*tls.Conn).ConnectionState().DidResume != resumed {
				t.Errorf("resumed: %v", !resumed)
			}
			if got := c.external(""); !strings.Contains(got, "<success") {
				t.Error(got)
			}
		}
	})
}
