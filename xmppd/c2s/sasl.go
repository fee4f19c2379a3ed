package c2s

import (
	"context"
	"encoding/base64"
	"errors"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// maxAttempts is how often a client may try to authenticate on one stream: RFC 6120 section 6.4.6
// recommends from 2 to 5 retries.
const maxAttempts = 3

// sasl serves one authentication exchange that begins with st (RFC 6120 section 6.4). It reports
// whether the user is authenticated; after a failure the client may try again.
func (n *negotiation) sasl(ctx context.Context, st *stanza.Stanza) (bool, error) {
	l := &login{ctx: ctx, auth: n.srv.cfg.Auth, domain: n.srv.cfg.Domain}
	var exchange *sasl.Negotiator
	for {
		p := stanza.Parse(st.Raw)
		p.Next()
		if string(p.NS()) != nsSASL {
			return false, n.saslFailure("malformed-request")
		}
		name, first := string(p.Name()), exchange == nil
		switch {
		case name == "abort":
			return false, n.saslFailure("aborted")
		case name == "auth" && exchange == nil:
			want, _ := p.Attr("mechanism")
			for _, m := range l.mechanisms(true) {
				if m.Name == string(want) {
					exchange = sasl.NewServer(m, nil)
				}
			}
			if exchange == nil {
				return false, n.saslFailure("invalid-mechanism")
			}
		case name != "response" || exchange == nil:
			return false, n.saslFailure("malformed-request")
		}
		msg, given, err := saslData(&p)
		if err != nil {
			return false, n.saslFailure("incorrect-encoding")
		}
		if !given && first {
			// No initial response: an empty challenge asks for it (RFC 6120 section 6.4.3).
			if err := n.write([]byte("<challenge xmlns='" + nsSASL + "'/>")); err != nil {
				return false, err
			}
		} else {
			more, resp, err := exchange.Step(msg)
			if err != nil {
				return false, n.saslRefused(l, err)
			}
			if !more {
				n.user = stanza.JID{Local: l.user, Domain: l.domain}
				return true, n.saslReply("success", resp)
			}
			if err := n.saslReply("challenge", resp); err != nil {
				return false, err
			}
		}
		if st, err = n.framing.Next(); err != nil {
			return false, err
		}
		if st.Kind == stanza.StreamEnd {
			return false, ErrEnd
		}
	}
}

// saslData decodes the text of a SASL element. "=" stands for data of no length.
func saslData(p *stanza.Parser) (data []byte, given bool, err error) {
	text := p.Content()
	switch string(text) {
	case "":
		return nil, false, nil
	case "=":
		return nil, true, nil
	}
	data, err = base64.StdEncoding.Strict().AppendDecode(nil, text)
	return data, true, err
}

func (n *negotiation) saslReply(name string, data []byte) error {
	out := []byte("<" + name + " xmlns='" + nsSASL + "'")
	if len(data) == 0 {
		return n.write(append(out, "/>"...))
	}
	out = base64.StdEncoding.AppendEncode(append(out, '>'), data)
	return n.write(append(out, "</"+name+">"...))
}

// saslRefused answers a failed exchange.
func (n *negotiation) saslRefused(l *login, err error) error {
	n.srv.metrics.authFailed.Inc()
	n.srv.log.Info("authentication failed", "user", l.user, "peer", n.peer.Addr, "reason", err)
	switch {
	case errors.Is(err, errMalformed):
		return n.saslFailure("malformed-request")
	case errors.Is(err, errAuthzid):
		return n.saslFailure("invalid-authzid")
	case errors.Is(err, errTemporary):
		return n.saslFailure("temporary-auth-failure")
	}
	return n.saslFailure("not-authorized")
}

func (n *negotiation) saslFailure(condition string) error {
	if err := n.write([]byte("<failure xmlns='" + nsSASL + "'><" + condition + "/></failure>")); err != nil {
		return err
	}
	if n.attempts++; n.attempts >= maxAttempts {
		return &router.StreamError{Condition: "policy-violation", Text: "too many failed attempts to log in"}
	}
	return nil
}
