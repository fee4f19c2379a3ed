package c2s

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"mellium.im/xmpp"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// bind serves resource binding (RFC 6120 section 7): the requested resource, or one of the
// server's choice. A session that has the resource already is ended: the newest wins.
func (n *negotiation) bind(ctx context.Context, st *stanza.Stanza) (xmpp.SessionState, bool, error) {
	if st.Kind != stanza.IQ || string(st.Get(st.ChildNS)) != nsBind || string(st.Get(st.ChildName)) != "bind" {
		return 0, false, &router.StreamError{Condition: "not-authorized", Text: "bind a resource first"}
	}
	if string(st.Get(st.Type.Value)) != "set" || !st.ID.Present() {
		return 0, false, n.bindError(st, module.BadRequest("binding is an iq of type set with an id"))
	}
	full, err := n.resource(st)
	if err == nil {
		full, err = n.placeFor(ctx, full)
	}
	var se *module.Error
	switch {
	case errors.As(err, &se):
		return 0, false, n.bindError(st, se)
	case err != nil:
		return 0, false, err
	}
	result := append([]byte("<iq type='result'"), stanza.AppendAttr(nil, "id", st.AttrString(st.ID))...)
	result = append(result, "><bind xmlns='"+nsBind+"'><jid>"...)
	result = stanza.AppendEscaped(result, full.String())
	result = append(result, "</jid></bind></iq>"...)
	if n.bound, err = n.establish(ctx, full, result); err != nil {
		return 0, false, err
	}
	return xmpp.Ready, false, nil
}

// bindError answers a failed request; the client may send another (RFC 6120 section 7.7.2).
func (n *negotiation) bindError(st *stanza.Stanza, e *module.Error) error {
	if n.attempts++; n.attempts >= maxAttempts {
		return &router.StreamError{Condition: "policy-violation", Text: "too many failed attempts to bind a resource"}
	}
	return n.write(stanza.AppendError(nil, st, n.srv.cfg.Domain, e.Type, e.Condition, e.Text))
}

// resource is the full JID that the request asks for.
func (n *negotiation) resource(st *stanza.Stanza) (stanza.JID, error) {
	p := stanza.Parse(st.Get(st.Child))
	want := ""
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev == stanza.Start && p.Depth() == 2 && string(p.Name()) == "resource" {
			want = string(p.Content())
		}
	}
	if want == "" {
		return n.generated()
	}
	full, err := stanza.ParseJID(n.user.String() + "/" + want)
	if err != nil {
		return stanza.JID{}, module.BadRequest("this can't be a resource")
	}
	return full, nil
}

// generated is a full JID that nobody can guess (RFC 6120 section 7.6).
func (n *negotiation) generated() (stanza.JID, error) {
	var id [12]byte
	if _, err := rand.Read(id[:]); err != nil {
		return stanza.JID{}, fmt.Errorf("make resource: %w", err)
	}
	return stanza.JID{Local: n.user.Local, Domain: n.user.Domain, Resource: base64.RawURLEncoding.EncodeToString(id[:])}, nil
}

// placeFor looks for what keeps the resource from being bound, while the client can still ask for
// another one.
func (n *negotiation) placeFor(ctx context.Context, full stanza.JID) (stanza.JID, error) {
	table := n.srv.cfg.Table
	if old := table.Get(full.String()); old != nil && !n.abandoned(old) {
		switch n.set.Conflict {
		case Refuse:
			return full, errConflict
		case Rename:
			return n.generated()
		}
		return full, nil // takes the place of the other one
	}
	if f := n.srv.cfg.Elsewhere; f != nil {
		n.elsewhere = f(ctx, n.user.String(), full.Resource)
	}
	if len(table.User(n.user.String()).Sessions())+n.elsewhere >= n.set.SessionsPerAccount {
		n.srv.metrics.full.Inc()
		n.srv.notices.tell("resource not bound: the account has as many sessions as limits.sessions_per_account allows", "user", n.user.Local, "limit", n.set.SessionsPerAccount, "peer", n.peer.Addr)
		return full, errConstraint
	}
	return full, nil
}

// abandoned ends a session that waits for its client: who binds its resource has come back without
// it. It reports false for a session with a connection.
func (n *negotiation) abandoned(old *session.Session) bool {
	if _, waits := old.Out.Detached(); !waits {
		return false
	}
	old.Out.Fail(errRebound)
	n.srv.cfg.Table.Unbind(old)
	n.srv.cfg.Ended(n.srv.ctx, old)
	return true
}

// errRebound is what a stream is told whose resource goes to another one.
var errRebound = &router.StreamError{Condition: "conflict", Text: "your resource was bound by another stream"}

var (
	errConflict   = &module.Error{Type: "modify", Condition: "conflict", Text: "the resource is bound by another stream"}
	errConstraint = &module.Error{Type: "wait", Condition: "resource-constraint", Text: "the account has too many sessions"} // RFC 6120 section 7.6.2.1
)

// trusts reports whether a session is of an account of the cluster (Config.Trusted).
func (s *Server) trusts(sess *session.Session) bool {
	return s.cfg.Trusted != nil && s.cfg.Trusted(sess.JID.Local)
}

// prepare makes the outbox of a session ready, with a transport if there is one. It reports whether the
// session is trusted.
func (s *Server) prepare(sess *session.Session, t session.Transport) (trusted bool) {
	limit := s.cfg.MaxQueue
	if trusted = s.trusts(sess); trusted {
		limit = max(limit, s.cfg.MaxTrustedQueue)
	}
	sess.Out.Init(&s.chunks, t, limit, s.spawn)
	if trusted {
		sess.Out.Trust(sess.Bare)
	}
	return trusted
}

// establish makes a session of a negotiated stream and lists it. The result of the request is the first
// thing in its queue, since stanzas of others may follow at once.
func (n *negotiation) establish(ctx context.Context, full stanza.JID, result []byte) (Stream, error) {
	s := n.srv
	t, err := n.framing.Transport()
	if err != nil {
		return Stream{}, err
	}
	sess := session.New(full)
	sess.Reliable = n.peer.Reliable
	trusted := s.prepare(sess, t)
	st := Stream{srv: s, addr: n.addr, sess: sess, batch: new(session.Batch), trusted: trusted}
	st.batch.Send(sess, result, nil, nil, nil)
	old, err := s.cfg.Table.Bind(sess, session.Rule{Max: n.set.SessionsPerAccount, Other: n.elsewhere, Keep: n.set.Conflict != Replace})
	switch {
	case errors.Is(err, session.ErrTaken): // since placeFor looked
		st.stillborn(&router.StreamError{Condition: "conflict", Text: err.Error()})
	case err != nil:
		s.metrics.full.Inc()
		st.stillborn(&router.StreamError{Condition: "resource-constraint", Text: err.Error()})
	default:
		if old != nil {
			old.Out.Fail(errRebound)
			s.cfg.Ended(ctx, old)
		}
		st.checkAccount(ctx)
		if s.cfg.Registered != nil {
			s.cfg.Registered(ctx, sess)
		}
	}
	return st, nil
}

// stillborn ends a session that is not listed: nothing that its client has sent already makes others
// believe that it is there.
func (st *Stream) stillborn(why error) {
	st.sess.Order.Lock()
	st.sess.End()
	st.sess.Order.Unlock()
	st.endAtOnce(why)
}

// endAtOnce ends a session behind the result of binding it.
func (st *Stream) endAtOnce(why error) {
	st.Flush()
	st.sess.Out.Fail(why)
}

// checkAccount ends a session whose account was removed after its client had logged in. Whoever
// removes an account ends the sessions that are listed afterwards, so one of the two sees it.
func (st *Stream) checkAccount(ctx context.Context) {
	if st.srv.cfg.Exists == nil {
		return
	}
	exists, err := st.srv.cfg.Exists(ctx, st.sess.JID.Local)
	switch {
	case err != nil:
		st.srv.log.Error("account can't be read", "account", st.sess.Bare, "error", err)
		st.endAtOnce(&router.StreamError{Condition: "internal-server-error"})
	case !exists:
		st.endAtOnce(&router.StreamError{Condition: "not-authorized", Text: "the account was removed"})
	}
}
