package mission

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdg-go/scram"
	"mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"

	"github.com/rosterdb/rosterdb/internal/certs"
	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
)

const x1Header = "<?xml version='1.0'?><stream:stream to='" + harness.Domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// checkStreamsAndLogin: STARTTLS and direct TLS, every SASL mechanism with clients that are not ours,
// and what has to be refused with the errors of RFC 6120.
func checkStreamsAndLogin(t *testing.T) {
	dir := t.TempDir()
	ca := x1Files(t, dir, "first")
	config := fmt.Sprintf("tls_cert = %q\ntls_key = %q\n[auth]\nclient_ca = %q\n", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem"))
	s := harness.StartXMPPD(t, binary, config, "alice", "bob")
	t.Run("STARTTLS", func(t *testing.T) { x1StartTLS(t, s) })
	t.Run("mechanisms", func(t *testing.T) { x1Mechanisms(t, s, ca) })
	t.Run("ALPN", func(t *testing.T) { x1ALPN(t, s) })
	t.Run("addresses", func(t *testing.T) { x1Addresses(t, s) })
	t.Run("errors", func(t *testing.T) { x1Errors(t, s) })
	t.Run("reload", func(t *testing.T) { x1Reload(t, s, dir) })
}

// x1Files writes the certificates of the server, which carries name, and of the clients' authority.
func x1Files(t *testing.T, dir, name string) *certs.Pair {
	t.Helper()
	server, err := certs.New(certs.Options{Name: name, Hosts: []string{harness.Domain}, Lifetime: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := server.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certs.New(certs.Options{Name: "clients", Authority: true, Lifetime: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{"cert.pem": server.CertPEM(), "key.pem": key, "ca.pem": ca.CertPEM()} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return ca
}

// x1StartTLS logs in with mellium's client, by each mechanism that it has.
func x1StartTLS(t *testing.T, s *harness.XMPPD) {
	for _, m := range []sasl.Mechanism{sasl.ScramSha256Plus, sasl.ScramSha1Plus, sasl.ScramSha256, sasl.ScramSha1, sasl.Plain} {
		for password, want := range map[string]bool{harness.Password: true, "wrong": false} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			conn, err := net.Dial("tcp", s.Addr(t, "clients"))
			if err != nil {
				t.Fatal(err)
			}
			session, err := xmpp.NewClientSession(ctx, jid.MustParse("alice@"+harness.Domain), conn,
				xmpp.StartTLS(&tls.Config{InsecureSkipVerify: true}), //nolint:gosec // self-signed
				xmpp.SASL("", password, m), xmpp.BindResource())
			cancel()
			if (err == nil) != want {
				t.Errorf("%s with password %q: %v", m.Name, password, err)
			}
			if err == nil && session.LocalAddr().Resourcepart() == "" {
				t.Errorf("%s: no resource", m.Name)
			}
			_ = conn.Close()
		}
	}
}

// x1Dial opens a stream through TLS from the first byte.
func x1Dial(t *testing.T, s *harness.XMPPD, cfg *tls.Config) (c *harness.Stream, features string) {
	t.Helper()
	c = xmppraw.Connect(t, s.Addr(t, "clients by TLS"))
	cfg.InsecureSkipVerify, cfg.ServerName = true, harness.Domain
	c.Conn = tls.Client(c.Conn, cfg)
	c.Send(x1Header)
	return c, c.Want("</stream:features>")
}

// x1Auth sends the first message of a mechanism and returns the answer.
func x1Auth(c *harness.Stream, mechanism, msg string) string {
	text := "="
	if msg != "" {
		text = base64.StdEncoding.EncodeToString([]byte(msg))
	}
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mechanism + "'>" + text + "</auth>")
	return c.Want(">")
}

// x1Mechanisms binds logins to their channel by another project's code, in each way, and logs in
// with certificates.
func x1Mechanisms(t *testing.T, s *harness.XMPPD, ca *certs.Pair) {
	other, _ := x1Dial(t, s, &tls.Config{})
	elsewhere := other.Conn.(*tls.Conn).ConnectionState()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, bind := range map[string]func(*tls.ConnectionState) (scram.ChannelBinding, error){
			"exporter": scram.NewTLSExporterBinding, "end point": scram.NewTLSServerEndpointBinding,
			"another channel": func(*tls.ConnectionState) (scram.ChannelBinding, error) {
				return scram.NewTLSExporterBinding(&elsewhere)
			},
		} {
			c, features := x1Dial(t, s, &tls.Config{MinVersion: version, MaxVersion: version})
			if !strings.Contains(features, "<mechanism>SCRAM-SHA-256-PLUS</mechanism>") {
				t.Fatalf("offered: %q", features)
			}
			state := c.Conn.(*tls.Conn).ConnectionState()
			binding, err := bind(&state)
			if err != nil {
				t.Fatal(err)
			}
			if ok := x1Scram(t, c, binding); ok != (name != "another channel") {
				t.Errorf("%s, bound to %s: %v", tls.VersionName(version), name, ok)
			}
		}
	}
	for addr, want := range map[string]string{"alice@" + harness.Domain: "<success", "nobody@" + harness.Domain: "<failure"} {
		client, err := certs.New(certs.Options{Name: "x", Client: true, Addresses: []string{addr}, Lifetime: time.Hour}, ca)
		if err != nil {
			t.Fatal(err)
		}
		c, features := x1Dial(t, s, &tls.Config{Certificates: []tls.Certificate{client.TLS()}})
		if offered := strings.Contains(features, "<mechanism>EXTERNAL</mechanism>"); offered != (want == "<success") {
			t.Errorf("EXTERNAL for %s offered: %v", addr, offered)
		}
		if got := x1Auth(c, "EXTERNAL", ""); !strings.HasPrefix(got, want) {
			t.Errorf("EXTERNAL of %s: %q", addr, got)
		}
	}
}

// x1Scram logs alice in by SCRAM-SHA-256-PLUS.
func x1Scram(t *testing.T, c *harness.Stream, binding scram.ChannelBinding) bool {
	t.Helper()
	user, err := scram.SHA256.NewClient("alice", harness.Password, "")
	if err != nil {
		t.Fatal(err)
	}
	conv := user.NewConversationWithChannelBinding(binding)
	first, err := conv.Step("")
	if err != nil {
		t.Fatal(err)
	}
	if got := x1Auth(c, "SCRAM-SHA-256-PLUS", first); !strings.HasPrefix(got, "<challenge") {
		return false
	}
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(c.Want("</challenge>"), "</challenge>"))
	if err != nil {
		t.Fatal(err)
	}
	final, err := conv.Step(string(challenge))
	if err != nil {
		t.Fatal(err)
	}
	c.Send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>")
	if got := c.Want(">"); !strings.HasPrefix(got, "<success") {
		return false
	}
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(c.Want("</success>"), "</success>"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conv.Step(string(signature)); err != nil {
		t.Errorf("the client does not believe the server: %v", err)
	}
	return true
}

// x1ALPN: xmpp-client or nothing; TLS 1.2 or later.
func x1ALPN(t *testing.T, s *harness.XMPPD) {
	for _, protos := range [][]string{nil, {"xmpp-client"}} {
		x1Dial(t, s, &tls.Config{NextProtos: protos})
	}
	for _, cfg := range []*tls.Config{
		{InsecureSkipVerify: true, NextProtos: []string{"h2"}},
		{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, //nolint:gosec // that it is refused
	} {
		if c, err := tls.Dial("tcp", s.Addr(t, "clients by TLS"), cfg); err == nil {
			_ = c.Close()
			t.Errorf("accepted: protocols %v, up to %s", cfg.NextProtos, tls.VersionName(cfg.MaxVersion))
		}
	}
}

// x1Addresses: all spellings of an address are one (RFC 7622), and a second resource on a stream is
// refused while the stream goes on.
func x1Addresses(t *testing.T, s *harness.XMPPD) {
	alice, bob := s.Login(t, "\uff21LICE", "caf\u00e9"), s.Login(t, "bob", "b")
	bob.Send("<message to='ALICE@EXAMPLE.NET./cafe\u0301' type='chat'><body>found</body></message>")
	alice.Want("<body>found</body>")
	alice.Send("<iq type='set' id='again'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	if got := alice.Want("</iq>"); !strings.Contains(got, "id='again'") || !strings.Contains(got, "<not-allowed ") {
		t.Errorf("a second resource: %q", got)
	}
	alice.Sync()
}

// x1Errors are the stream and SASL errors of RFC 6120 sections 4.9.3 and 6.5.
func x1Errors(t *testing.T, s *harness.XMPPD) {
	const auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='"
	for send, want := range map[string]string{
		strings.Replace(x1Header, harness.Domain, "example.com", 1):                           "host-unknown",
		strings.Replace(x1Header, "version='1.0' xmlns", "xmlns", 1):                          "unsupported-version",
		strings.Replace(x1Header, "jabber:client", "jabber:x", 1):                             "invalid-namespace",
		"GET / HTTP/1.1\r\n\r\n":                                                              "not-well-formed",
		x1Header + "<!-- x -->":                                                               "restricted-xml",
		x1Header + "<message to='bob@" + harness.Domain + "'/>":                               "not-authorized",
		x1Header + auth + "X-OWN'/>":                                                          "invalid-mechanism",
		x1Header + auth + "PLAIN'>!</auth>":                                                   "incorrect-encoding",
		x1Header + auth + "PLAIN'>AGFsaWNlAHdyb25n</auth>":                                    "not-authorized", // alice, wrong
		x1Header + auth + "PLAIN'>Ym9iQGV4YW1wbGUubmV0AGFsaWNlAHBlbmNpbA==</auth>":            "invalid-authzid",
		x1Header + auth + "SCRAM-SHA-256'/><abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>": "aborted",
		x1Header + "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>":                     "malformed-request",
	} {
		c := xmppraw.Connect(t, s.Addr(t, "clients"))
		c.Send(send)
		c.Send("</stream:stream>")
		if got := c.End(); !strings.Contains(got, "<"+want) || !strings.HasSuffix(got, "</stream:stream>") {
			t.Errorf("%q: %q, want %s", send, got, want)
		}
	}
}

// x1Reload replaces the certificate of the running server, and then the configuration by a broken one.
func x1Reload(t *testing.T, s *harness.XMPPD, dir string) {
	stays := s.Online(t, "bob", "stays")
	x1Files(t, dir, "second")
	hup := func(logged string) {
		t.Helper()
		if err := s.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); !strings.Contains(s.Log(), logged); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q is not in the log", logged)
			}
		}
	}
	name := func() string {
		c, _ := x1Dial(t, s, &tls.Config{})
		return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := name(); got != "first" {
		t.Errorf("before: certificate of %q", got)
	}
	hup("configuration read again")
	if got := name(); got != "second" {
		t.Errorf("after: certificate of %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	hup("the configuration stays as it was")
	if got := name(); got != "second" {
		t.Errorf("after a broken one: certificate of %q", got)
	}
	stays.Sync()
}
