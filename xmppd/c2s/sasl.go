package c2s

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// maxAttempts is how often a client may try to authenticate on one stream: RFC 6120 section 6.4.6
// recommends from 2 to 5 retries.
const maxAttempts = 3

// maxMisfits is how many exchanges may fail on one stream because of the channel binding alone.
const maxMisfits = 6

// login begins an attempt to authenticate.
func (n *negotiation) login() *login {
	ctx := n.srv.logins
	if n.channel == nil {
		n.channel = n.look(ctx)
	}
	return &login{
		ctx: ctx, auth: n.set.Auth, domain: n.srv.cfg.Domain, only: n.set.Mechanisms,
		channel: n.channel, faults: n.srv.cfg.Faults,
		guess:   func(name string) *guess { return n.srv.gate.guess(n.addr, name, n.set) },
		metrics: n.srv.metrics,
	}
}

// sasl serves one authentication exchange that begins with st (RFC 6120 section 6.4). It reports
// whether the user is authenticated; after a failure the client may try again.
func (n *negotiation) sasl(st *stanza.Stanza) (bool, error) {
	l := n.login()
	var exchange mechanism
	var chosen string
	for {
		p := stanza.Parse(st.Raw)
		p.Next()
		if string(p.NS()) != nsSASL {
			return false, n.saslFailure(errMalformed)
		}
		name := string(p.Name())
		if name == "auth" && exchange != nil { // takes the place of the one under way (RFC 6120 section 6.4.2)
			if err := n.failedAttempt(); err != nil {
				return false, err
			}
			l, exchange = n.login(), nil
		}
		first := exchange == nil
		switch {
		case name == "abort":
			return false, n.saslFailure(&saslError{condition: "aborted"})
		case name == "auth":
			want, _ := p.Attr("mechanism")
			chosen = string(want)
			if exchange = l.begin(chosen); exchange == nil {
				return false, n.saslFailure(&saslError{condition: "invalid-mechanism"})
			}
		case name != "response" || first:
			return false, n.saslFailure(errMalformed)
		}
		msg, given, err := saslData(&p)
		if err != nil {
			return false, n.saslFailure(&saslError{condition: "incorrect-encoding"})
		}
		if !given && first {
			// No initial response: an empty challenge asks for it (RFC 6120 section 6.4.3).
			if err := n.saslReply("challenge", nil); err != nil {
				return false, err
			}
		} else {
			more, reply, err := exchange.step(msg)
			if err == nil && !more {
				err = l.succeed(n.set.LoggedIn)
			}
			if err != nil {
				return false, n.saslRefused(l, err)
			}
			if !more {
				n.srv.metrics.authenticated.WithLabelValues(chosen).Inc()
				n.srv.log.Debug("authenticated", "user", l.user, "peer", n.peer.Addr, "mechanism", chosen)
				n.user = stanza.JID{Local: l.user, Domain: l.domain}
				return true, n.saslReply("success", reply)
			}
			if err := n.saslReply("challenge", reply); err != nil {
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
	if bytes.ContainsAny(text, "\r\n") { // which the decoder would skip (RFC 6120 section 13.9.1)
		return nil, true, base64.CorruptInputError(0)
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

// saslRefused answers a failed exchange. One that ended before the client has said who it is, such as
// by a channel binding that the server doesn't know, is no failed login: clients find out like that what
// they can use.
func (n *negotiation) saslRefused(l *login, err error) error {
	switch {
	case errors.Is(err, errTemporary): // says nothing about the client
		n.srv.notices.tell("a login could not be looked at", "user", l.user, "peer", n.peer.Addr, "reason", err)
	case l.claimed:
		n.srv.metrics.authFailed.Inc()
		n.srv.log.Info("authentication failed", "user", l.user, "peer", n.peer.Addr, "reason", err)
	default:
		n.srv.metrics.unclaimed.Inc()
		n.srv.log.Debug("authentication not begun", "peer", n.peer.Addr, "reason", err)
	}
	var refusal *saslError
	if !errors.As(err, &refusal) {
		refusal = errTemporary
	}
	return n.saslFailure(refusal)
}

func (n *negotiation) saslFailure(e *saslError) error {
	out := []byte("<failure xmlns='" + nsSASL + "'><" + e.condition + "/>")
	if e.text != "" {
		out = append(stanza.AppendEscaped(append(out, "<text xml:lang='en'>"...), e.text), "</text>"...)
	}
	if err := n.write(append(out, "</failure>"...)); err != nil {
		return err
	}
	if e.binding && n.misfits < maxMisfits {
		n.misfits++
		return nil
	}
	return n.failedAttempt()
}

// failedAttempt counts an exchange that came to nothing; the error ends the stream.
func (n *negotiation) failedAttempt() error {
	if n.attempts++; n.attempts >= maxAttempts {
		return &router.StreamError{Condition: "policy-violation", Text: "too many failed attempts to log in"}
	}
	return nil
}
