// Package xmppconntest is a small XMPP server inside the test's process, on a
// real loopback socket: login with or without TLS, then a callback for each
// stanza. It routes nothing and checks little: it is for tests of clients.
package xmppconntest

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// Options of a Server.
type Options struct {
	Domain    string            // empty: localhost
	Accounts  map[string]string // local part to password; nil: any login is accepted (PLAIN only)
	TLS       bool              // require TLS; else logins are taken in plaintext
	DirectTLS bool              // TLS from the first byte instead of STARTTLS
	CertName  string            // whom the certificate names; empty: Domain
	// Mechanisms offered; empty: all of SCRAM-SHA-256-PLUS (with TLS),
	// SCRAM-SHA-256 and PLAIN; only PLAIN where Accounts is nil.
	Mechanisms []string
	Listener   net.Listener // nil: a free port of loopback

	// Redirect, when set, is offered to clients once there is TLS, if there is to be, and
	// says where one is sent; "": it stays.
	Redirect func(Redirect) string
	// RedirectAll is where every client is sent as soon as it connects, before TLS.
	RedirectAll string

	// Login is called when a resource is bound, Stanza for each stanza behind
	// that, Logout at the end; all three in the session's own goroutine. Any
	// may be nil.
	Login  func(s *Session)
	Stanza func(s *Session, st *stanza.Stanza)
	Logout func(s *Session)
}

// Redirect is what a client says of itself that can follow a redirect.
type Redirect struct {
	Zone string `xml:"zone,attr"`
	Hops string `xml:"hops,attr"`
	From string `xml:"from,attr"`
}

// Server is a running server.
type Server struct {
	opt  Options
	ln   net.Listener
	cert tls.Certificate
	// Roots verify the server's certificate.
	Roots *x509.CertPool

	mu       sync.Mutex
	sessions map[*Session]struct{}
	closed   bool
	wg       sync.WaitGroup
}

// Start serves clients. Close it after use.
func Start(opt Options) (*Server, error) {
	if opt.Domain == "" {
		opt.Domain = "localhost"
	}
	s := &Server{opt: opt, sessions: make(map[*Session]struct{})}
	if opt.TLS || opt.DirectTLS {
		var err error
		if s.cert, s.Roots, err = selfSigned(cmp.Or(opt.CertName, opt.Domain)); err != nil {
			return nil, fmt.Errorf("make certificate: %w", err)
		}
	}
	if s.ln = opt.Listener; s.ln == nil {
		var err error
		if s.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	s.wg.Go(s.accept)
	return s, nil
}

// Addr returns host:port.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Certificate is that of the server; it signs itself.
func (s *Server) Certificate() *x509.Certificate { return s.cert.Leaf }

// Close ends all sessions and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.ln.Close() //nolint:errcheck // a test's listener
	s.Drop()
	s.wg.Wait()
}

// Drop cuts all connections without a word.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.sessions {
		c.raw.Close() //nolint:errcheck // cutting is the point
	}
}

func (s *Server) accept() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		c := &Session{server: s, raw: conn, conn: conn}
		s.mu.Lock()
		if s.closed {
			conn.Close() //nolint:errcheck // too late
		} else {
			s.sessions[c] = struct{}{}
			s.wg.Go(c.run)
		}
		s.mu.Unlock()
	}
}

// Session is one client's stream.
type Session struct {
	JID string // full, once bound

	server *Server
	raw    net.Conn
	conn   net.Conn   // raw, or TLS over it
	mu     sync.Mutex // of writes
}

// Send writes bytes to the client, whole and at once. Safe for concurrent use.
func (c *Session) Send(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) //nolint:errcheck // a test's socket
	if _, err := c.conn.Write(b); err != nil {
		c.raw.Close() //nolint:errcheck // its reader notices
	}
}

// Close cuts the connection without a word.
func (c *Session) Close() { c.raw.Close() } //nolint:errcheck // cutting is the point

func (c *Session) run() {
	defer func() {
		c.raw.Close() //nolint:errcheck // over
		c.server.mu.Lock()
		delete(c.server.sessions, c)
		c.server.mu.Unlock()
	}()
	r, err := c.negotiate()
	if err != nil {
		return
	}
	opt := &c.server.opt
	if opt.Login != nil {
		opt.Login(c)
	}
	c.read(r)
	if opt.Logout != nil {
		opt.Logout(c)
	}
}

func (c *Session) read(r net.Conn) {
	scanner := stanza.NewScanner(stanza.Limits{MaxStanza: 16 << 20})
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := r.Read(chunk)
		buf = append(buf, chunk[:n]...)
		rest := buf
		for len(rest) > 0 {
			st, used, err := scanner.Next(rest)
			if err != nil {
				c.Send([]byte(`<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`))
				return
			}
			rest = rest[used:]
			if st == nil {
				if used == 0 {
					break
				}
				continue
			}
			if st.Kind == stanza.StreamEnd {
				c.Send([]byte("</stream:stream>"))
				return
			}
			if c.server.opt.Stanza != nil {
				c.server.opt.Stanza(c, st)
			}
		}
		buf = append(buf[:0], rest...)
		if err != nil {
			return
		}
	}
}
