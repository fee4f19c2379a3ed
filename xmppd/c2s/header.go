package c2s

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"

	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	xstanza "mellium.im/xmpp/stanza"
	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// parseHeader reads the attributes of a stream header (RFC 6120 section 4.7).
func parseHeader(raw []byte, in *stream.Info) error {
	// encoding/xml lets through what is no XML with namespaces.
	if err := stanza.CheckHeader(raw[tagStart(raw):], stanza.Limits{}); err != nil {
		return scanError(err)
	}
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, &router.StreamError{Condition: "unsupported-encoding", Text: "XMPP is UTF-8, not " + charset}
	}
	for {
		tok, err := d.Token()
		if err != nil {
			var se *router.StreamError
			if errors.As(err, &se) {
				return se
			}
			return &router.StreamError{Condition: "not-well-formed"}
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		*in = stream.Info{}
		if err := in.FromStartElement(start); err != nil {
			return headerError(err)
		}
		prefixed := bytes.Contains(raw, []byte("<stream:stream"))
		switch {
		case start.Name.Space != stream.NS:
			return &router.StreamError{Condition: "invalid-namespace", Text: "a stream element is of " + stream.NS}
		case start.Name.Local != "stream":
			return &router.StreamError{Condition: "bad-format", Text: "the first element must be a stream"}
		case !prefixed:
			return &router.StreamError{Condition: "bad-namespace-prefix", Text: "use the prefix stream"}
		case in.XMLNS != xstanza.NSClient:
			return &router.StreamError{Condition: "invalid-namespace", Text: "the default namespace must be jabber:client"}
		}
		return nil
	}
}

// tagStart is where the start tag behind an XML declaration begins.
func tagStart(raw []byte) int {
	pos := skipSpace(raw, 0)
	if bytes.HasPrefix(raw[pos:], []byte("<?xml")) {
		if n := bytes.Index(raw[pos:], []byte("?>")); n >= 0 {
			pos = skipSpace(raw, pos+n+2)
		}
	}
	return pos
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
		if n.srv.cfg.PreAuth != nil {
			out = append(out, n.srv.cfg.PreAuth.StreamFeature()...)
		}
	}
	return append(out, "</stream:features>"...)
}
