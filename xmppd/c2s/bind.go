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
	if n.bound, err = n.srv.bind(ctx, n.framing, full, result); err != nil {
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
		var id [12]byte
		if _, err := rand.Read(id[:]); err != nil {
			return stanza.JID{}, fmt.Errorf("make resource: %w", err)
		}
		want = base64.RawURLEncoding.EncodeToString(id[:])
	}
	full, err := stanza.ParseJID(n.user.String() + "/" + want)
	if err != nil {
		return stanza.JID{}, module.BadRequest("this can't be a resource")
	}
	return full, nil
}

// bind makes a session of a negotiated stream and lists it. The result of the request is the first
// thing in its queue, since stanzas of others may follow at once.
func (s *Server) bind(ctx context.Context, f Framing, full stanza.JID, result []byte) (Stream, error) {
	t, err := f.Transport()
	if err != nil {
		return Stream{}, err
	}
	sess := session.New(full)
	limit := s.cfg.MaxQueue
	if s.cfg.Trusted != nil && s.cfg.Trusted(full.Local) {
		limit = max(limit, s.cfg.MaxTrustedQueue)
	}
	sess.Out.Init(&s.chunks, t, limit, s.spawn)
	st := Stream{srv: s, sess: sess}
	st.batch.Send(sess, result, nil, nil, nil)
	if old := s.cfg.Table.Bind(sess); old != nil {
		old.Out.Fail(&router.StreamError{Condition: "conflict", Text: "your resource was bound by another stream"})
		s.cfg.Ended(ctx, old)
	}
	return st, nil
}
