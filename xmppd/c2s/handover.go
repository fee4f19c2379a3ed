package c2s

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// errClosing: a server that closes takes no sessions.
var errClosing = errors.New("the server is closing")

// Adopt makes a session that another server hands over. It has no connection and is not listed yet: List or
// Abandon has to follow.
func (s *Server) Adopt(st *session.State, policy *session.AckPolicy) (*session.Session, error) {
	full, err := stanza.ParseJID(st.JID)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what is wrong
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil, errClosing
	}
	s.wg.Add(1) // as detach
	s.mu.Unlock()
	sess := session.New(full)
	s.prepare(sess, nil)
	sess.Restore(st, policy, func() { s.orphaned(sess) })
	return sess, nil
}

// List lists a session that was adopted: from now on it gets stanzas, and its client may resume it.
func (s *Server) List(ctx context.Context, sess *session.Session) {
	old, _ := s.cfg.Table.Bind(sess, session.Rule{}) // it is the newest, and was counted where it comes from
	if old != nil {
		old.Out.Fail(errRebound)
		s.spawn(func() { s.cfg.Ended(ctx, old) })
	}
	s.mu.Lock()
	closing := s.closing
	s.mu.Unlock()
	if closing {
		sess.Out.Fail(errShutdown)
	}
}

// Abandon forgets a session that was adopted and is not listed.
func (s *Server) Abandon(sess *session.Session) {
	sess.Out.Settle()
	s.wg.Done()
}

// Gone ends a session that another server has got (Outbox.Settle): nobody sees it leave.
func (s *Server) Gone(ctx context.Context, sess *session.Session) {
	s.cfg.Table.Unbind(sess)
	var b session.Batch
	s.cfg.Router.Return(ctx, sess, nil, 0, &b)
	b.Flush()
	s.wg.Done()
}

// GiveUp ends a session of which nobody knows whether another server has got it. It returns what was
// kept for it.
func (s *Server) GiveUp(ctx context.Context, sess *session.Session) (kept []byte) {
	s.cfg.Table.Unbind(sess)
	s.cfg.Ended(ctx, sess)
	kept = sess.Out.GiveUp()
	var b session.Batch
	s.cfg.Router.Return(ctx, sess, nil, 0, &b)
	b.Flush()
	s.wg.Done()
	return kept
}
