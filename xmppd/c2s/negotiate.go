package c2s

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"mellium.im/xmpp"
	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

const (
	nsStreams = "urn:ietf:params:xml:ns:xmpp-streams"
	nsTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind    = "urn:ietf:params:xml:ns:xmpp-bind"
)

// negotiation is a stream until a resource is bound. One goroutine owns it.
type negotiation struct {
	srv  *Server
	conn net.Conn // what is read and written: the TCP connection, then TLS on it
	tcp  net.Conn
	tls  *tls.Conn
	tap  *tap
	src  source

	headerSent bool
	user       stanza.JID // bare JID once authenticated
	attempts   int        // failed SASL attempts
	bound      *boundStream
}

// negotiate runs the negotiation to its end. The error is told to the client by the caller.
func (n *negotiation) negotiate(ctx context.Context, secure bool) error {
	var state xmpp.SessionState
	if secure {
		state |= xmpp.Secure
	}
	// mellium gets a plain ReadWriter that it never uses: reading and writing are ours.
	_, err := xmpp.ReceiveSession(ctx, inert{}, state, n.step)
	return err
}

// inert stands in for the connection in mellium's session, whose decoder is never asked. It is a
// net.Conn and an io.ByteReader so that mellium and encoding/xml make no buffers for it.
type inert struct{ net.Conn }

func (inert) Read([]byte) (int, error)    { return 0, io.EOF }
func (inert) ReadByte() (byte, error)     { return 0, io.EOF }
func (inert) Write(p []byte) (int, error) { return len(p), nil }
func (inert) SetDeadline(time.Time) error { return nil }

// step is an xmpp.Negotiator: it serves one stream header up to the next restart or to the end of
// the negotiation.
func (n *negotiation) step(ctx context.Context, in, out *stream.Info, s *xmpp.Session, _ any) (xmpp.SessionState, io.ReadWriter, any, error) {
	n.headerSent = false
	raw, err := n.src.header()
	if err != nil {
		return 0, nil, nil, err
	}
	if err := parseHeader(raw, in); err != nil {
		return 0, nil, nil, err
	}
	if err := n.checkHeader(in); err != nil {
		return 0, nil, nil, err
	}
	state := s.State()
	n.src.scan = stanza.NewScanner(n.srv.cfg.Limits)
	if err := n.sendHeader(n.features(state)); err != nil {
		return 0, nil, nil, err
	}
	out.XMLNS = in.XMLNS
	for {
		st, err := n.src.next()
		if err != nil {
			return 0, nil, nil, err
		}
		mask, restart, err := n.element(ctx, state, st)
		switch {
		case err != nil:
			return 0, nil, nil, err
		case mask&xmpp.Ready != 0:
			return mask, nil, nil, nil
		case restart:
			return mask, inert{}, nil, nil
		}
	}
}

// sendHeader opens our stream and writes what follows in the same packet.
func (n *negotiation) sendHeader(features []byte) error {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("make stream id: %w", err)
	}
	out := append([]byte(nil), "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='"+stream.NS+"'"...)
	out = stanza.AppendAttr(out, "id", hex.EncodeToString(id[:]))
	out = stanza.AppendAttr(out, "from", n.srv.cfg.Domain)
	if n.user != (stanza.JID{}) {
		out = stanza.AppendAttr(out, "to", n.user.String())
	}
	out = append(out, " version='1.0' xml:lang='en'>"...)
	n.headerSent = true
	return n.write(append(out, features...))
}

func (n *negotiation) write(p []byte) error {
	if _, err := n.conn.Write(p); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// element handles one element of the peer. restart says that a new stream header follows.
func (n *negotiation) element(ctx context.Context, state xmpp.SessionState, st *stanza.Stanza) (mask xmpp.SessionState, restart bool, err error) {
	if st.Kind == stanza.StreamEnd {
		return 0, false, errStreamEnd
	}
	if state&xmpp.Authn != 0 {
		return n.bind(ctx, st)
	}
	p := stanza.Parse(st.Raw)
	p.Next()
	name, ns := string(p.Name()), string(p.NS())
	switch {
	case ns == nsTLS && name == "starttls":
		if state&xmpp.Secure != 0 || n.srv.cfg.TLS == nil {
			return 0, false, n.refuseTLS()
		}
		return xmpp.Secure, true, n.startTLS(ctx)
	case ns == nsSASL:
		if !n.mayLogin(state) {
			return 0, false, n.saslFailure("encryption-required")
		}
		ok, err := n.sasl(ctx, st)
		return xmpp.Authn, ok, err
	case st.Kind == stanza.IQ && n.srv.cfg.PreAuth != nil && n.mayLogin(state):
		if answer, ok := n.srv.cfg.PreAuth.Answer(ctx, st, addrOf(n.tcp)); ok {
			return 0, false, n.write(answer)
		}
	}
	return 0, false, &router.StreamError{Condition: "not-authorized", Text: "log in first"}
}

// errStreamEnd: the peer has closed its stream.
var errStreamEnd = errors.New("stream closed by the peer")

func (n *negotiation) refuseTLS() error {
	if err := n.write([]byte("<failure xmlns='" + nsTLS + "'/>")); err != nil {
		return err
	}
	return errStreamEnd // RFC 6120 section 5.4.2.2: close the stream
}

// startTLS upgrades the connection (RFC 6120 section 5.4.3). Bytes that came behind <starttls/>
// were sent in the clear by who knows whom: they end the stream instead of being read as if they
// had come through TLS. White space alone says nothing, and some clients end each element with a
// line feed: it is dropped, also when it comes in a later packet.
func (n *negotiation) startTLS(ctx context.Context) error {
	if !n.src.dropSpace() {
		return &router.StreamError{Condition: "policy-violation", Text: "nothing may follow starttls before TLS"}
	}
	if err := n.write([]byte("<proceed xmlns='" + nsTLS + "'/>")); err != nil {
		return err
	}
	return n.handshake(ctx, n.src.budget)
}

// handshake makes TLS of the connection, within its deadline. Up to lead bytes of white space may
// come before the first record.
func (n *negotiation) handshake(ctx context.Context, lead int) error {
	n.tap = &tap{Conn: n.tcp, pool: &n.srv.sealed, lead: lead}
	n.tls = tls.Server(n.tap, n.srv.cfg.TLS)
	if err := n.tls.HandshakeContext(ctx); err != nil {
		return &handshakeError{err}
	}
	n.conn = n.tls
	n.src.conn = n.tls
	return nil
}

// handshakeError is a failed TLS handshake: the peer understands nothing that could be told to it.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// addrOf is the peer's address without port.
func addrOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}

// appendStreamError is a stream error with the end of the stream.
func appendStreamError(dst []byte, e *router.StreamError) []byte {
	dst = append(dst, "<stream:error><"+e.Condition+" xmlns='"+nsStreams+"'/>"...)
	if e.Text != "" {
		dst = append(dst, "<text xmlns='"+nsStreams+"' xml:lang='en'>"...)
		dst = stanza.AppendEscaped(dst, e.Text)
		dst = append(dst, "</text>"...)
	}
	return append(dst, "</stream:error></stream:stream>"...)
}

// fail tells the client why its stream ends, with our header first if it had none yet. It reports
// whether there was something to tell.
func (n *negotiation) fail(err error) (said bool) {
	var se *router.StreamError
	var handshake *handshakeError
	var timeout net.Error
	switch {
	case errors.As(err, &handshake):
		return false
	case errors.As(err, &se):
	case errors.Is(err, errStreamEnd):
	case errors.As(err, &timeout) && timeout.Timeout():
		se = &router.StreamError{Condition: "connection-timeout", Text: "the stream was not ready in time"}
	default:
		return false // the connection is gone: there is nobody to tell
	}
	_ = n.conn.SetDeadline(time.Now().Add(lingerTime))
	var out []byte
	if se != nil {
		out = appendStreamError(nil, se)
	} else {
		out = []byte("</stream:stream>")
	}
	if !n.headerSent {
		return n.sendHeader(out) == nil
	}
	return n.write(out) == nil
}
