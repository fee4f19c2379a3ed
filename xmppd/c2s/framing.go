package c2s

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

// Framing is how a stream travels until its resource is bound: on TCP, in WebSocket messages or in
// bodies of HTTP requests. Elements are in the form of a TCP stream, where "stream" and the default
// namespace are declared by the header; what needs more declarations adds them.
//
// One goroutine calls its methods, SetDeadline excepted, which any may call.
type Framing interface {
	// Open waits for the peer's stream header, the first one or that of a restart. An error is a
	// *router.StreamError, or says why the peer can't be read.
	Open(in *stream.Info) error
	// Next waits for the peer's next element, which is valid until the next call.
	Next() (*stanza.Stanza, error)
	// Header answers a header. What follows it at once are whole elements.
	Header(h *Header, elements []byte) error
	// Write sends whole elements; </stream:stream> is one, too.
	Write(elements []byte) error
	// Transport ends the negotiation: everything else is written through what it returns.
	Transport() (session.Transport, error)
	// SetDeadline bounds waiting and writing.
	SetDeadline(t time.Time) error
}

// Header is the server's stream header (RFC 6120 section 4.7).
type Header struct {
	ID   string
	From string // the domain
	To   string // bare JID of the "from" of the header that is answered; "" without one
}

// Peer is what a transport knows of a client.
type Peer struct {
	Addr   string // without port: what limits by address count
	Secure bool   // nobody between reads along
	// Reliable says that the transport itself neither loses nor doubles anything when a connection
	// breaks (XEP-0124): stream management is not offered.
	Reliable bool
}

// Stream is a stream with a session, whatever carries it. Its transport reads the peer's elements,
// calls Route for each, Flush when no more are there at the moment, and Finish at the end. One
// goroutine at a time calls its methods.
type Stream struct {
	srv   *Server
	addr  netip.Addr // of the peer
	sess  *session.Session
	batch *session.Batch

	trusted bool // no Pace counts for it
}

// ErrEnd is why a stream ends that its peer has closed.
var ErrEnd = errors.New("stream closed by the peer")

// ErrRefused: there are too many streams, or the server is closing.
var ErrRefused = errors.New("no more streams are taken")

// Negotiate brings a stream that something else than TCP carries to a bound resource. It waits for
// the peer, bounded by Config.Negotiation. When it fails, the peer has been told why, unless the
// error is ErrRefused; else the caller serves the stream and calls Finish, then Leave.
func (s *Server) Negotiate(f Framing, p Peer) (*Stream, error) {
	addr := peerAddr(&p)
	if !s.enter(f, addr) {
		return nil, ErrRefused
	}
	st, _, err := s.establish(f, nil, p)
	if err != nil {
		s.leave(addr)
		return nil, err
	}
	return &st, nil
}

// Context is that of the streams: it ends when Close has given up waiting for them.
func (s *Server) Context() context.Context { return s.ctx }

// Leave tells the server that nothing is left of a stream that Negotiate has returned.
func (st *Stream) Leave() { st.srv.leave(st.addr) }

// Session is the session of the stream.
func (st *Stream) Session() *session.Session { return st.sess }

// Route takes one element of the peer. An error ends the stream: it is what Finish wants.
func (st *Stream) Route(ctx context.Context, s *stanza.Stanza) error {
	if s.Kind == stanza.StreamEnd || s.Kind == stanza.Nonza && string(s.Get(s.Name)) == "stream:error" {
		return ErrEnd
	}
	if se := st.srv.cfg.Router.Route(ctx, st.sess, s, st.batch); se != nil {
		return se
	}
	if s.Kind != stanza.Nonza {
		st.sess.In++
	}
	return nil
}

// Flush writes what has come of the elements routed, the result of binding among it.
func (st *Stream) Flush() { st.batch.Flush() }

// Finish ends the session, unless its client may come back to it (XEP-0198): its presence is taken back, its peer told why (err, or the reason of
// whoever has ended the session), and what was not written to it goes back to the senders. Before
// the call the transport gets a deadline for the last words; closing the connection is left to the
// caller, too. Finish reports whether the peer has been sent the end of its stream.
func (st *Stream) Finish(ctx context.Context, err error) (said bool) {
	st.batch.Flush()
	if said, ok := st.detach(err); ok {
		return said
	}
	st.srv.cfg.Table.Unbind(st.sess)
	st.srv.cfg.Ended(ctx, st.sess)
	if reason := st.sess.Out.Reason(); reason != nil {
		err = reason // somebody else has ended the stream
	}
	var se *router.StreamError
	var last []byte
	switch {
	case errors.As(err, &se):
		last = xmlstream.AppendError(nil, se)
		st.srv.metrics.streamErrors.WithLabelValues(se.Condition).Inc()
	case errors.Is(err, ErrEnd):
		last = []byte("</stream:stream>")
	}
	st.srv.overflowed(st.sess, err)
	st.srv.log.Debug("stream ended", "jid", st.sess.Full, "reason", err)
	if last != nil {
		wait, stop := context.WithTimeout(ctx, lingerTime)
		st.sess.Out.AwaitHandled(wait)
		stop()
		said = st.sess.Out.Finish(append(st.sess.AppendAck(nil), last...), lingerTime)
	}
	st.srv.release(ctx, st.sess)
	return said
}

// overflowed counts the end of a session whose client has not read.
func (s *Server) overflowed(sess *session.Session, why error) {
	if !errors.Is(why, session.ErrOverflow) {
		return
	}
	s.metrics.overflows.Inc()
	if errors.Is(why, session.ErrBudget) {
		s.notices.tell("session ended, and others will be: clients that do not read let as many bytes wait as limits.queue_total_bytes allows", "user", sess.JID.Local, "limit", s.cfg.QueueTotal)
	}
}
