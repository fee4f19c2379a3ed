package xmppd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

const (
	domain   = "example.net"
	password = "pencil"
	patience = 10 * time.Second // for things that happen at once on an idle machine
	header   = "<?xml version='1.0'?><stream:stream to='" + domain + "' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
)

// ioStrategy is how the tests' servers wait: all tests have to pass in both ways.
var ioStrategy = flag.String("io", "loop", "how servers wait for input: loop or goroutine")

// options of a test's server.
type options struct {
	cfg    func(*xmppd.Config)
	router router.Faults
	im     im.Faults
	c2s    c2s.Faults
}

// startServer runs a server on loopback with the accounts alice, bob, carol (no group) and
// dn1, dn2, app (groups).
func startServer(t *testing.T, o options) *xmppd.Server {
	t.Helper()
	s := serve(t, o)
	for name, group := range map[string]string{"alice": "", "bob": "", "carol": "", "dn1": "Data nodes", "dn2": "Data nodes", "app": "Applications"} {
		if err := s.Accounts().Add(t.Context(), name, password, group); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// serve is startServer without making accounts.
func serve(t *testing.T, o options) *xmppd.Server {
	t.Helper()
	cfg := xmppd.Defaults()
	cfg.IO = *ioStrategy
	cfg.Domain, cfg.Data = domain, t.TempDir()
	cfg.ListenC2S, cfg.ListenTLS, cfg.ListenHTTP = "127.0.0.1:0", "127.0.0.1:0", ""
	cfg.InsecurePlaintext = true
	if o.cfg != nil {
		o.cfg(&cfg)
	}
	s, err := xmppd.StartFaulty(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, o.router, o.im, o.c2s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// withoutOffline is options of a server that keeps no messages.
func withoutOffline(o options) options {
	more := o.cfg
	o.cfg = func(c *xmppd.Config) {
		c.Modules.Disable = append(c.Modules.Disable, "offline")
		if more != nil {
			more(c)
		}
	}
	return o
}

// client is a client that sends and expects bytes.
type client struct {
	t    *testing.T
	conn net.Conn
	in   []byte
	jid  string
	// mayCut allows TLS to end without its own end.
	mayCut bool
}

func connect(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn}
	t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

func (c *client) send(s string) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("send %.100q: %v", s, err)
	}
}

// trySend is for clients that the server may have given up already.
func (c *client) trySend(s string) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c.conn, s)
}

// read reads more. It reports false at the end of the stream. An end that looks like a cut fails
// the test.
func (c *client) read(wait time.Duration) bool {
	buf := make([]byte, 64<<10)
	_ = c.conn.SetReadDeadline(time.Now().Add(wait))
	n, err := c.conn.Read(buf)
	c.in = append(c.in, buf[:n]...)
	if errors.Is(err, io.ErrUnexpectedEOF) && !c.mayCut {
		c.t.Errorf("%s: TLS was cut off", c.jid)
	}
	return n > 0 || err == nil
}

// want reads up to the end of the first of the texts that comes, and returns what was read.
func (c *client) want(texts ...string) string {
	c.t.Helper()
	for {
		for _, s := range texts {
			if i := bytes.Index(c.in, []byte(s)); i >= 0 {
				got := string(c.in[:i+len(s)])
				c.in = c.in[i+len(s):]
				return got
			}
		}
		if !c.read(patience) {
			c.t.Fatalf("%s: wanted %q, got %q", c.jid, texts, c.in)
		}
	}
}

// rest reads to the end of the connection.
func (c *client) rest() string {
	c.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if !c.read(time.Until(end)) {
			return string(c.in)
		}
	}
	c.t.Fatalf("the server didn't close the stream; got %q", c.in)
	return ""
}

// sync makes sure that everything sent before has been handled, and returns what came meanwhile.
func (c *client) sync() string {
	c.t.Helper()
	c.send("<iq type='get' id='sync' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	got := c.want("id='sync'")
	c.want("/>")
	return got
}

func (c *client) startTLS() {
	c.t.Helper()
	conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true, ServerName: domain}) //nolint:gosec // self-signed
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.in = conn, nil
}

func (c *client) open() string {
	c.t.Helper()
	c.send(header)
	return c.want("</stream:features>")
}

// auth authenticates and reports how the server called it.
func (c *client) auth(mech sasl.Mechanism, user, pw string) string {
	c.t.Helper()
	n := sasl.NewClient(mech, sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte(user), []byte(pw), nil }))
	_, resp, err := n.Step(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	enc := base64.StdEncoding
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mech.Name + "'>" + enc.EncodeToString(resp) + "</auth>")
	for {
		got := c.want("</challenge>", "</success>", "-sasl'/>", "</failure>")
		if strings.Contains(got, "<failure") {
			return got
		}
		_, data, _ := strings.Cut(got, "-sasl'>")
		msg, err := enc.DecodeString(strings.SplitN(data, "<", 2)[0])
		if err != nil {
			c.t.Fatalf("%q: %v", got, err)
		}
		if len(msg) > 0 {
			if _, resp, err = n.Step(msg); err != nil {
				c.t.Fatalf("%q: %v", got, err)
			}
		}
		if strings.Contains(got, "<success") {
			return "success"
		}
		c.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + enc.EncodeToString(resp) + "</response>")
	}
}

func (c *client) bind(resource string) {
	c.t.Helper()
	c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	got := c.want("</iq>")
	_, j, ok := strings.Cut(got, "<jid>")
	if !ok {
		c.t.Fatalf("bind: %q", got)
	}
	c.jid, _, _ = strings.Cut(j, "</jid>")
}

// login returns a client with a session over plain TCP.
func login(t *testing.T, s *xmppd.Server, user, resource string) *client {
	t.Helper()
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.open()
	if got := c.auth(sasl.ScramSha256, user, password); got != "success" {
		t.Fatal(got)
	}
	c.open()
	c.bind(resource)
	return c
}

// loginTLS is login with TLS from the first byte.
func loginTLS(t *testing.T, s *xmppd.Server, user, resource string) *client {
	t.Helper()
	_, addr, _ := s.Addrs()
	c := connect(t, addr)
	c.startTLS()
	c.open()
	if got := c.auth(sasl.ScramSha256, user, password); got != "success" {
		t.Fatal(got)
	}
	c.open()
	c.bind(resource)
	return c
}

// online is login with available presence, which the server has handled.
func online(t *testing.T, s *xmppd.Server, user, resource string) *client {
	t.Helper()
	c := login(t, s, user, resource)
	c.send("<presence/>")
	c.sync()
	return c
}

func message(to, body string) string {
	return fmt.Sprintf("<message type='chat' to='%s' id='m'><body>%s</body></message>", to, body)
}

// entrances are the ways to log in whose streams differ afterwards.
func entrances() map[string]func(*testing.T, *xmppd.Server, string, string) *client {
	return map[string]func(*testing.T, *xmppd.Server, string, string) *client{"plain": login, "TLS": loginTLS}
}
