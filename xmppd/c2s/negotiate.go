package c2s

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

const (
	nsStreams = "urn:ietf:params:xml:ns:xmpp-streams"
	nsTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind    = "urn:ietf:params:xml:ns:xmpp-bind"
)

// negotiation is a stream until a resource is bound. One goroutine owns it.
type negotiation struct {
	srv     *Server
	set     *Settings
	framing Framing
	tcp     *tcpFraming // framing, if that is what it is: then there is STARTTLS
	peer    Peer
	addr    netip.Addr // the peer's; invalid: it has none

	channel    *channel // nil until the first login
	headerSent bool
	from       string     // bare JID of the "from" of the peer's header
	user       stanza.JID // bare JID once authenticated
	attempts   int        // failed SASL attempts
	misfits    int        // those that only the channel binding kept from going on
	placed     placed     // by Config.Redirection
	bound      Stream     // once ready
	elsewhere  int        // sessions of the account on other servers
}

// negotiate runs the negotiation to its end. The error is told to the client by the caller.
func (n *negotiation) negotiate(ctx context.Context) error {
	var state xmpp.SessionState
	if n.peer.Secure {
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
	if err := n.framing.Open(in); err != nil {
		return 0, nil, nil, err
	}
	if err := n.checkHeader(in); err != nil {
		return 0, nil, nil, err
	}
	state := s.State()
	n.from = ""
	if !in.From.Equal(jid.JID{}) {
		n.from = in.From.Bare().String()
	}
	if err := n.sendHeader(n.features(state)); err != nil {
		return 0, nil, nil, err
	}
	out.XMLNS = in.XMLNS
	for {
		st, err := n.framing.Next()
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

// sendHeader opens our stream, with what follows at once.
func (n *negotiation) sendHeader(features []byte) error {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("make stream id: %w", err)
	}
	h := Header{ID: hex.EncodeToString(id[:]), From: n.srv.cfg.Domain, To: n.from}
	n.headerSent = true
	return n.framing.Header(&h, features)
}

func (n *negotiation) write(p []byte) error { return n.framing.Write(p) }

// element handles one element of the peer. restart says that a new stream header follows.
func (n *negotiation) element(ctx context.Context, state xmpp.SessionState, st *stanza.Stanza) (mask xmpp.SessionState, restart bool, err error) {
	if st.Kind == stanza.StreamEnd {
		return 0, false, ErrEnd
	}
	if state&xmpp.Authn != 0 {
		if n.resumes(st) {
			return n.resume(ctx, st)
		}
		return n.bind(ctx, st)
	}
	p := stanza.Parse(st.Raw)
	p.Next()
	name, ns := string(p.Name()), string(p.NS())
	switch {
	case ns == stanza.NSStream && name == "error":
		return 0, false, ErrEnd // RFC 6120 section 4.9.1.1
	case ns == nsTLS && name == "starttls":
		if state&xmpp.Secure != 0 || n.set.TLS == nil || n.tcp == nil {
			return 0, false, n.refuseTLS()
		}
		n.channel = nil // there is another one from now on
		return xmpp.Secure, true, n.tcp.startTLS()
	case ns == nsRedirect && name == "redirect" && n.mayLogin(state):
		return 0, false, n.redirect(st.Raw)
	case ns == nsSASL && n.srv.leaving.Load():
		return 0, false, errLeaving
	case ns == nsSASL:
		if !n.mayLogin(state) {
			return 0, false, n.saslFailure(&saslError{condition: "encryption-required"})
		}
		if r := n.srv.cfg.Redirection; r != nil && n.tcp != nil && r.All() {
			if err := n.place("", 0, ""); err != nil {
				return 0, false, err
			}
		}
		ok, err := n.sasl(st)
		return xmpp.Authn, ok, err
	case st.Kind == stanza.IQ && n.srv.cfg.PreAuth != nil && n.mayLogin(state):
		if st.IsType("set") && !n.srv.gate.mayRegister(n.addr, n.set) {
			n.srv.metrics.limited.WithLabelValues("registration").Inc()
			return 0, false, n.write(stanza.AppendError(nil, st, n.srv.cfg.Domain, "wait", "resource-constraint", "too many attempts: wait a minute"))
		}
		if answer, ok := n.srv.cfg.PreAuth.Answer(ctx, st, n.peer.Addr); ok {
			return 0, false, n.write(answer)
		}
	}
	return 0, false, &router.StreamError{Condition: "not-authorized", Text: "log in first"}
}

func (n *negotiation) refuseTLS() error {
	if err := n.write([]byte("<failure xmlns='" + nsTLS + "'/>")); err != nil {
		return err
	}
	return ErrEnd // RFC 6120 section 5.4.2.2: close the stream
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
	case errors.Is(err, ErrEnd):
	case errors.As(err, &timeout) && timeout.Timeout():
		se = &router.StreamError{Condition: "connection-timeout", Text: "the stream was not ready in time"}
	default:
		return false // the connection is gone: there is nobody to tell
	}
	_ = n.framing.SetDeadline(time.Now().Add(lingerTime))
	var out []byte
	if se != nil {
		n.srv.metrics.streamErrors.WithLabelValues(se.Condition).Inc()
		out = xmlstream.AppendError(nil, se)
	} else {
		out = []byte("</stream:stream>")
	}
	if !n.headerSent {
		return n.sendHeader(out) == nil
	}
	return n.write(out) == nil
}
