package xmppraw

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/xmppd"
)

// Header opens a stream to the server of Start (RFC 6120 section 4.2).
const Header = "<?xml version='1.0'?><stream:stream to='" + Domain + "' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"

// Namespaces of the negotiation (RFC 6120 sections 5 to 7).
const (
	NSTLS  = "urn:ietf:params:xml:ns:xmpp-tls"
	NSSASL = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSBind = "urn:ietf:params:xml:ns:xmpp-bind"
)

// Client sends bytes and waits for bytes. One goroutine at a time uses it, but for Send, which may
// run beside the others.
type Client struct {
	T    testing.TB
	Conn net.Conn
	JID  string // full JID once bound
	// MayCut allows TLS to end without its own end; otherwise that fails the test.
	MayCut bool
	in     []byte
	syncs  int
}

// Connect opens a TCP connection that ends with the test.
func Connect(t testing.TB, addr string) *Client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return New(t, conn)
}

// New is a client on a connection, which ends with the test.
func New(t testing.TB, conn net.Conn) *Client {
	c := &Client{T: t, Conn: conn}
	t.Cleanup(func() { _ = c.Conn.Close() })
	return c
}

// Send writes all of s or ends the test.
func (c *Client) Send(s string) {
	c.T.Helper()
	_ = c.Conn.SetWriteDeadline(time.Now().Add(Patience))
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.T.Fatalf("%s: send %.100q: %v", c.JID, s, err)
	}
}

// TrySend is for clients that the server may have given up already.
func (c *Client) TrySend(s string) error {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(Patience))
	_, err := io.WriteString(c.Conn, s)
	return err
}

// read reads more; false at the end of the stream.
func (c *Client) read(wait time.Duration) bool {
	buf := make([]byte, 32<<10)
	_ = c.Conn.SetReadDeadline(time.Now().Add(wait))
	n, err := c.Conn.Read(buf)
	c.in = append(c.in, buf[:n]...)
	if errors.Is(err, io.ErrUnexpectedEOF) && !c.MayCut {
		c.T.Errorf("%s: TLS was cut off", c.JID)
	}
	return n > 0 || err == nil
}

// Want reads up to the end of the first of the texts that comes, and returns what was read.
func (c *Client) Want(texts ...string) string {
	c.T.Helper()
	for end := time.Now().Add(Patience); ; {
		first, size := -1, 0
		for _, s := range texts {
			if i := bytes.Index(c.in, []byte(s)); i >= 0 && (first < 0 || i < first) {
				first, size = i, len(s)
			}
		}
		if first >= 0 {
			got := string(c.in[:first+size])
			c.in = c.in[first+size:]
			return got
		}
		if !c.read(time.Until(end)) {
			c.T.Fatalf("%s: wanted %q, got %.2000q", c.JID, texts, c.in)
		}
	}
}

// End reads to the end of the connection, which has to be an orderly one.
func (c *Client) End() string {
	c.T.Helper()
	_ = c.Conn.SetReadDeadline(time.Now().Add(Patience))
	rest, err := io.ReadAll(c.Conn)
	if err != nil {
		c.T.Fatalf("%s: the stream does not end: %v; got %.2000q", c.JID, err, rest)
	}
	return string(c.in) + string(rest)
}

// Rest reads to the end of the connection, which may be a reset.
func (c *Client) Rest() string {
	c.T.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		if !c.read(time.Until(end)) && time.Now().Before(end) {
			return string(c.in)
		}
	}
	c.T.Fatalf("%s: the server didn't close the stream; got %.2000q", c.JID, c.in)
	return ""
}

// Sync makes sure that everything sent before has been handled, and returns what came meanwhile.
func (c *Client) Sync() string {
	c.T.Helper()
	c.syncs++
	id := fmt.Sprintf("id='sync-%d'", c.syncs)
	c.Send("<iq type='get' " + id + " to='" + Domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	got := c.Want(id)
	c.Want("/>")
	return got[:strings.LastIndex(got, "<")]
}

// StartTLS makes TLS of the connection.
func (c *Client) StartTLS(change ...func(*tls.Config)) {
	c.T.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: Domain, NextProtos: []string{"xmpp-client"}} //nolint:gosec // self-signed
	for _, f := range change {
		f(cfg)
	}
	conn := tls.Client(c.Conn, cfg)
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		c.T.Fatal(err)
	}
	c.Conn, c.in = conn, nil
}

// Open opens a stream and returns the server's header and features.
func (c *Client) Open() string {
	c.T.Helper()
	c.Send(Header)
	return c.Want("</stream:features>")
}

// Plain is the element that authenticates by PLAIN (RFC 4616).
func Plain(user, password string) string {
	return "<auth xmlns='" + NSSASL + "' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "</auth>"
}

// Auth authenticates and returns "success", or the server's failure.
func (c *Client) Auth(mech sasl.Mechanism, user, password string) string {
	c.T.Helper()
	n := sasl.NewClient(mech, sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte(user), []byte(password), nil }))
	_, resp, err := n.Step(nil)
	if err != nil {
		c.T.Fatal(err)
	}
	enc := base64.StdEncoding
	c.Send("<auth xmlns='" + NSSASL + "' mechanism='" + mech.Name + "'>" + enc.EncodeToString(resp) + "</auth>")
	for {
		got := c.Want("</challenge>", "</success>", "-sasl'/>", "</failure>")
		if strings.Contains(got, "<failure") {
			return got
		}
		_, data, _ := strings.Cut(got, "-sasl'>")
		msg, err := enc.DecodeString(strings.SplitN(data, "<", 2)[0])
		if err != nil {
			c.T.Fatalf("%q: %v", got, err)
		}
		if len(msg) > 0 {
			if _, resp, err = n.Step(msg); err != nil {
				c.T.Fatalf("%q: %v", got, err)
			}
		}
		if strings.Contains(got, "<success") {
			return "success"
		}
		c.Send("<response xmlns='" + NSSASL + "'>" + enc.EncodeToString(resp) + "</response>")
	}
}

// Bind binds a resource.
func (c *Client) Bind(resource string) {
	c.T.Helper()
	c.Send("<iq type='set' id='bind-it'><bind xmlns='" + NSBind + "'><resource>" + resource + "</resource></bind></iq>")
	got := c.Want("</iq>")
	_, j, ok := strings.Cut(got, "<jid>")
	if !ok {
		c.T.Fatalf("bind: %q", got)
	}
	c.JID, _, _ = strings.Cut(j, "</jid>")
}

// Authenticate logs in over plain TCP, and returns what a client without a resource is offered.
func Authenticate(t testing.TB, addr, user string) (c *Client, features string) {
	t.Helper()
	c = Connect(t, addr)
	return c, c.authenticate(user)
}

func (c *Client) authenticate(user string) (features string) {
	c.T.Helper()
	c.Open()
	if got := c.Auth(sasl.ScramSha256, user, Password); got != "success" {
		c.T.Fatal(got)
	}
	return c.Open()
}

// LoginAt returns a client with a session over plain TCP.
func LoginAt(t testing.TB, addr, user, resource string) *Client {
	t.Helper()
	c := Connect(t, addr)
	c.LogIn(user, resource)
	return c
}

// LogIn makes a session over the connection, as it is.
func (c *Client) LogIn(user, resource string) {
	c.T.Helper()
	c.authenticate(user)
	c.Bind(resource)
}

// Login is LoginAt a server of this process.
func Login(t testing.TB, s *xmppd.Server, user, resource string) *Client {
	t.Helper()
	addr, _, _ := s.Addrs()
	return LoginAt(t, addr, user, resource)
}

// LoginTLS is Login with TLS from the first byte (XEP-0368).
func LoginTLS(t testing.TB, s *xmppd.Server, user, resource string) *Client {
	t.Helper()
	_, addr, _ := s.Addrs()
	c := Connect(t, addr)
	c.StartTLS()
	c.authenticate(user)
	c.Bind(resource)
	return c
}

// Available announces presence, and waits until the server has handled it.
func (c *Client) Available() *Client {
	c.T.Helper()
	c.Send("<presence/>")
	c.Sync()
	return c
}

// Online is Login with available presence.
func Online(t testing.TB, s *xmppd.Server, user, resource string) *Client {
	t.Helper()
	return Login(t, s, user, resource).Available()
}

// Message is a chat message with the id "m".
func Message(to, body string) string {
	return "<message type='chat' to='" + to + "' id='m'><body>" + body + "</body></message>"
}
