package c2s

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"

	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

// tcpFraming carries a stream on TCP (RFC 6120 section 4), with TLS from the first byte or by
// STARTTLS.
type tcpFraming struct {
	srv    *Server
	direct bool // TLS begins with the first byte
	config *tls.Config
	conn   net.Conn // what is read and written: the TCP connection, then TLS on it
	tcp    net.Conn
	tls    *tls.Conn
	tap    *tap
	src    xmlstream.Reader
	bound  *boundStream // once Transport was called
}

func newTCPFraming(s *Server, conn net.Conn, direct bool) *tcpFraming {
	return &tcpFraming{
		srv: s, direct: direct, conn: conn, tcp: conn,
		src: xmlstream.Reader{Conn: conn, Budget: s.cfg.NegotiationMax},
	}
}

// Open implements Framing.
func (f *tcpFraming) Open(in *stream.Info) error {
	if f.direct && f.tls == nil {
		if err := f.handshake(0); err != nil {
			return err
		}
	}
	raw, err := f.src.Header()
	if err != nil {
		if f.tls == nil && beginsTLS(f.src.Rest()) {
			return errTLSHere
		}
		return err
	}
	f.src.Scan = stanza.NewScanner(f.srv.cfg.Limits)
	return parseHeader(raw, in)
}

// Next implements Framing.
func (f *tcpFraming) Next() (*stanza.Stanza, error) { return f.src.Next() }

// Header implements Framing: what follows goes out in the same packet.
func (f *tcpFraming) Header(h *Header, elements []byte) error {
	out := append([]byte(nil), "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='"+stream.NS+"'"...)
	out = stanza.AppendAttr(out, "id", h.ID)
	out = stanza.AppendAttr(out, "from", h.From)
	if h.To != "" {
		out = stanza.AppendAttr(out, "to", h.To)
	}
	out = append(out, " version='1.0' xml:lang='en'>"...)
	return f.Write(append(out, elements...))
}

// Write implements Framing.
func (f *tcpFraming) Write(p []byte) error {
	if _, err := f.conn.Write(p); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Transport implements Framing.
func (f *tcpFraming) Transport() (t session.Transport, err error) {
	f.bound, t, err = newStream(f)
	return t, err
}

// SetDeadline implements Framing.
func (f *tcpFraming) SetDeadline(t time.Time) error { return f.tcp.SetDeadline(t) }

// startTLS upgrades the connection (RFC 6120 section 5.4.3). Bytes that came behind <starttls/>
// were sent in the clear by who knows whom: they end the stream instead of being read as if they
// had come through TLS. White space alone says nothing, and some clients end each element with a
// line feed: it is dropped, also when it comes in a later packet.
func (f *tcpFraming) startTLS() error {
	if !f.src.DropSpace() {
		return &router.StreamError{Condition: "policy-violation", Text: "nothing may follow starttls before TLS"}
	}
	if err := f.Write([]byte("<proceed xmlns='" + nsTLS + "'/>")); err != nil {
		return err
	}
	return f.handshake(f.src.Budget)
}

// handshake makes TLS of the connection, within its deadline. Up to lead bytes of white space may
// come before the first record.
func (f *tcpFraming) handshake(lead int) error {
	f.tap = &tap{Conn: f.tcp, pool: &f.srv.sealed, lead: lead}
	f.tls = tls.Server(f.tap, f.config)
	if err := f.tls.HandshakeContext(context.Background()); err != nil {
		return &handshakeError{err}
	}
	f.conn = f.tls
	f.src.Conn = f.tls
	return nil
}

// handshakeError is a failed TLS handshake: the peer understands nothing that could be told to it.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// keepAlive has the kernel ask a silent peer whether it is there; one that is not is given up by
// userTimeout.
func (s *Server) keepAlive(c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	idle := s.settings.Load().KeepAlive
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: idle, Interval: userTimeout / 3, Count: 3})
}

// addrOf is the peer's address without port.
func addrOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}

// linger closes our half and reads on for a while: closing at once would make the kernel reset
// the connection, and the peer could lose the last words. secure is nil on a plain stream.
func linger(c net.Conn, secure *tls.Conn) {
	_ = c.SetDeadline(time.Now().Add(lingerTime))
	if secure != nil {
		_ = secure.CloseWrite() // without TLS's own end the peer can't tell an end from a cut
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c, lingerRead)
}
