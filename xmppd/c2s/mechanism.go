package c2s

import (
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// mechanism is the server's half of one SASL exchange (RFC 4422).
type mechanism interface {
	// step takes a message of the client. With more the reply is a challenge that it has to
	// answer; without, the user is authenticated and the reply goes with the success. An error is
	// a *saslError, possibly wrapped; the exchange is over then.
	step(msg []byte) (more bool, reply []byte, err error)
}

// saslError is a refused exchange (RFC 6120 section 6.5).
type saslError struct {
	condition string
	text      string // for people; may be empty
	// binding says that only the channel binding didn't fit, and nothing was guessed at: clients that
	// know other types than ours come by way of such refusals to a mechanism that they can use.
	binding bool
}

func (e *saslError) Error() string {
	if e.text == "" {
		return e.condition
	}
	return e.condition + ": " + e.text
}

var (
	errAuthn     = &saslError{condition: "not-authorized"}
	errMalformed = &saslError{condition: "malformed-request"}
	errAuthzid   = &saslError{condition: "invalid-authzid"}
	errTemporary = &saslError{condition: "temporary-auth-failure"}
)

// offer is a mechanism that a server may offer.
type offer struct {
	name string
	make func(*login) mechanism
	// usable tells whether it makes sense on the stream; nil: always.
	usable func(*login) bool
}

// offers are all mechanisms, those first that a client should prefer.
func offers() []offer {
	bound := func(l *login) bool { return l.auth.HasKeys() && len(l.channel.bindings) > 0 }
	keys := func(l *login) bool { return l.auth.HasKeys() }
	scram := func(h scramHash, plus bool) func(*login) mechanism {
		return func(l *login) mechanism { return &scramExchange{login: l, hash: h, plus: plus} }
	}
	return []offer{
		{"EXTERNAL", func(l *login) mechanism { return external{l} }, func(l *login) bool { return len(l.channel.accounts) > 0 }},
		{"SCRAM-SHA-256-PLUS", scram(scramSHA256(), true), bound},
		{"SCRAM-SHA-1-PLUS", scram(scramSHA1(), true), bound},
		{"SCRAM-SHA-256", scram(scramSHA256(), false), keys},
		{"SCRAM-SHA-1", scram(scramSHA1(), false), keys},
		{"PLAIN", func(l *login) mechanism { return plain{l} }, nil},
	}
}

// Mechanisms are the names of all SASL mechanisms that a Server knows.
func Mechanisms() []string {
	var names []string
	for _, o := range offers() {
		names = append(names, o.name)
	}
	return names
}

// offered are the mechanisms of the stream.
func (l *login) offered() []offer {
	return slices.DeleteFunc(offers(), func(o offer) bool {
		return l.only != nil && !slices.Contains(l.only, o.name) || o.usable != nil && !o.usable(l)
	})
}

// begin starts the exchange that the client has chosen; nil if it isn't offered.
func (l *login) begin(name string) mechanism {
	for _, o := range l.offered() {
		if o.name == name {
			return o.make(l)
		}
	}
	return nil
}

// offersPlus tells whether a client that can bind to the channel would have had to.
func (l *login) offersPlus() bool {
	return slices.ContainsFunc(l.offered(), func(o offer) bool {
		return o.name == "SCRAM-SHA-256-PLUS" || o.name == "SCRAM-SHA-1-PLUS"
	})
}

// appendMechanisms is the stream feature of RFC 6120 section 6.4.1 with the channel binding types of
// XEP-0440 beside it.
func (l *login) appendMechanisms(dst []byte) []byte {
	all := l.offered()
	if len(all) == 0 { // EXTERNAL alone is switched on, and there is no certificate
		return dst
	}
	dst = append(dst, "<mechanisms xmlns='"+nsSASL+"'>"...)
	for _, o := range all {
		dst = append(dst, "<mechanism>"+o.name+"</mechanism>"...)
	}
	dst = append(dst, "</mechanisms>"...)
	if !l.offersPlus() {
		return dst
	}
	dst = append(dst, "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"...)
	for _, b := range l.channel.bindings {
		dst = append(dst, "<channel-binding"...)
		dst = append(stanza.AppendAttr(dst, "type", b.name), "/>"...)
	}
	return append(dst, "</sasl-channel-binding>"...)
}
