package c2s

import (
	"context"
	"errors"

	"mellium.im/xmpp"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

// Resumption finds sessions that outlive their connections (XEP-0198).
type Resumption interface {
	// StreamFeature is announced to clients that have logged in.
	StreamFeature() string
	// Resume handles an element of stream management of a client that has logged in and bound no
	// resource. A session that it returns is claimed for the client's new connection (Outbox.Claim),
	// and reply is what that begins with; without one, reply is the answer. An error ends the stream.
	Resume(ctx context.Context, user stanza.JID, el *stanza.Stanza) (s *session.Session, reply []byte, err error)
	// Detached is told of a session that has lost its connection and waits for another one.
	Detached(*session.Session)
}

// errReplaced is what a connection is told whose session goes on on another one.
var errReplaced = &router.StreamError{Condition: "conflict", Text: "the session was resumed on another connection"}

// resumes reports whether an element is about stream management, and that is offered.
func (n *negotiation) resumes(st *stanza.Stanza) bool {
	if n.srv.cfg.Resumption == nil || n.peer.Reliable || st.Kind != stanza.Nonza {
		return false
	}
	p := stanza.Parse(st.Raw)
	p.Next()
	return string(p.NS()) == session.NSAck
}

// resume lets the client go on with a session that it had before. If that can't be, it may bind a
// resource.
func (n *negotiation) resume(ctx context.Context, st *stanza.Stanza) (xmpp.SessionState, bool, error) {
	s := n.srv
	sess, reply, err := s.cfg.Resumption.Resume(ctx, n.user, st)
	if err != nil {
		return 0, false, err
	}
	if sess == nil {
		if n.attempts++; n.attempts >= maxAttempts {
			return 0, false, &router.StreamError{Condition: "policy-violation", Text: "too many failed attempts to resume a session"}
		}
		return 0, false, n.write(reply)
	}
	t, err := n.framing.Transport()
	if err != nil {
		sess.Out.Unclaim()
		return 0, false, err
	}
	n.bound = Stream{srv: s, addr: n.addr, sess: sess, batch: new(session.Batch), trusted: s.trusts(sess)}
	n.bound.batch.Attach(sess, t, reply)
	s.wg.Done() // detach has added it
	s.log.Debug("session resumed", "jid", sess.Full, "peer", n.peer.Addr)
	return xmpp.Ready, false, nil
}

// detach lets the session of a stream that ends wait for its client to resume it. ok is false if it
// can't: then it ends.
func (st *Stream) detach(err error) (said, ok bool) {
	var se *router.StreamError
	if st.srv.cfg.Resumption == nil || errors.Is(err, ErrEnd) || errors.As(err, &se) && se.Condition != "connection-timeout" {
		return false, false
	}
	s, sess := st.srv, st.sess
	s.wg.Add(1) // a session without a connection is waited for, too
	said, ok = sess.Out.Detach(xmlstream.AppendError(nil, errReplaced), func() { s.orphaned(sess) })
	if !ok {
		s.wg.Done()
		return said, false
	}
	s.log.Debug("session waits for its client", "jid", sess.Full, "reason", err)
	s.cfg.Resumption.Detached(sess)
	return said, true
}

// orphaned ends a session that has no connection.
func (s *Server) orphaned(sess *session.Session) {
	s.overflowed(sess, sess.Out.Reason())
	s.release(s.ctx, sess)
	s.wg.Done()
}

// release ends a session that nobody writes to any more: what was not written to it, or not
// acknowledged, finds another way.
func (s *Server) release(ctx context.Context, sess *session.Session) {
	s.cfg.Table.Unbind(sess)
	s.cfg.Ended(ctx, sess)
	sess.Out.Fail(session.ErrClosed) // whoever still writes stops
	left, written := sess.Out.Close()
	if kept := sess.Out.Kept(); len(kept) > 0 {
		left, written = append(kept, left...), 0 // a Keeper has taken whole runs only
	}
	var b session.Batch
	s.cfg.Router.Return(ctx, sess, left, written, &b)
	b.Flush()
}
