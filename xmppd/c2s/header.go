package c2s

import (
	"errors"

	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	xstanza "mellium.im/xmpp/stanza"
	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

// parseHeader reads the attributes of a client's stream header (RFC 6120 section 4.7).
func parseHeader(raw []byte, in *stream.Info) error {
	start, err := xmlstream.ParseHeader(raw)
	if err != nil {
		return err
	}
	*in = stream.Info{}
	if err := in.FromStartElement(start); err != nil {
		return headerError(err)
	}
	if in.XMLNS != xstanza.NSClient {
		return &router.StreamError{Condition: "invalid-namespace", Text: "the default namespace must be jabber:client"}
	}
	return nil
}

func headerError(err error) error {
	var se stream.Error
	if errors.As(err, &se) {
		return &router.StreamError{Condition: se.Err}
	}
	return &router.StreamError{Condition: "bad-format"}
}

// checkHeader compares what the header says with what is known of the peer.
func (n *negotiation) checkHeader(in *stream.Info) error {
	switch {
	case in.Version.Major < 1:
		return &router.StreamError{Condition: "unsupported-version", Text: "this server speaks version 1.0"}
	case in.To.Equal(jid.JID{}):
		return &router.StreamError{Condition: "host-unknown", Text: "say which domain you want: to='" + n.srv.cfg.Domain + "'"}
	case in.To.String() != n.srv.cfg.Domain:
		return &router.StreamError{Condition: "host-unknown", Text: "this server serves " + n.srv.cfg.Domain}
	}
	if n.user != (stanza.JID{}) && !in.From.Equal(jid.JID{}) && in.From.Bare().String() != n.user.String() && !n.srv.cfg.Faults.TrustHeaderFrom {
		return &router.StreamError{Condition: "invalid-from", Text: "you have authenticated as " + n.user.String()}
	}
	return nil
}

// mayLogin reports whether a client may log in on this stream.
func (n *negotiation) mayLogin(state xmpp.SessionState) bool {
	return state&xmpp.Secure != 0 || n.srv.cfg.InsecurePlaintext
}

func (n *negotiation) features(state xmpp.SessionState) []byte {
	out := []byte("<stream:features>")
	if state&xmpp.Authn != 0 {
		out = append(out, "<bind xmlns='"+nsBind+"'/>"...)
		for _, e := range n.srv.cfg.Router.Extensions() {
			out = append(out, e.StreamFeatures...)
		}
		if r := n.srv.cfg.Resumption; r != nil && !n.peer.Reliable {
			out = append(out, r.StreamFeature()...)
		}
		return append(out, "</stream:features>"...)
	}
	if state&xmpp.Secure == 0 && n.set.TLS != nil && n.tcp != nil {
		out = append(out, "<starttls xmlns='"+nsTLS+"'>"...)
		if !n.srv.cfg.InsecurePlaintext {
			out = append(out, "<required/>"...)
		}
		out = append(out, "</starttls>"...)
	}
	if n.mayLogin(state) {
		out = n.login().appendMechanisms(out)
		out = n.redirectFeature(out)
		if n.srv.cfg.PreAuth != nil {
			out = append(out, n.srv.cfg.PreAuth.StreamFeature()...)
		}
	}
	return append(out, "</stream:features>"...)
}
