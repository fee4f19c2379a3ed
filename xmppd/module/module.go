// Package module is the contract between the server's core and its extensions. An extension is one
// package under xmppd/modules that implements Module; the server lists its modules explicitly and
// hands each what it needs. The core answers every IQ from the value a handler returns, so that
// none stays unanswered (RFC 6120 section 8.2.3).
//
// An extension that does more than answer requests implements Extender too: hooks on the way of
// stanzas, stream features, elements that are no stanzas. A hook runs in the goroutine that reads
// the sender's stream, so the sender's next stanza waits for it; it may be called for many senders
// at once.
package module

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Info names an extension.
type Info struct {
	Name    string // as used in the configuration
	Spec    string // XEP-0199, RFC 6121, ...
	Version string // version of the specification
	Title   string
}

// Module is one extension. Its methods are called once when the server starts.
type Module interface {
	Info() Info
	// Features are the service discovery features (XEP-0030) of the server.
	Features() []string
	// Routes are the IQ payloads it answers.
	Routes() []Route
}

// Further is a module that implements more specifications than that of its Info.
type Further interface{ Also() []Info }

// Scope says to whom an IQ must be addressed for a route to take it.
type Scope uint8

// Scopes can be combined.
const (
	ToServer  Scope = 1 << iota // the domain
	ToAccount                   // a bare JID of the domain, the sender's own (also without "to") or another's
)

// Route is one kind of IQ that a module answers.
type Route struct {
	NS    string // namespace of the payload
	Scope Scope
	// Fast handlers neither wait nor read storage: what the sender's batch owes to others isn't
	// written first, and they run in the loop that serves other connections, too.
	Fast bool
	// Public routes answer senders of other domains too. Handlers of the others can rely on a sender
	// with an account here.
	Public bool
	Handle Handler
}

// Handler answers one IQ of type get or set. It returns the payload of the result (nil for an empty one)
// or an error: an *Error is sent as it is, any other is logged and sent as
// internal-server-error. It runs in the goroutine that reads the sender's stream, so the sender's
// next stanza waits for it.
type Handler func(ctx context.Context, iq *IQ) (payload []byte, err error)

// IQ is a request. It is valid during the call of its handler.
type IQ struct {
	// Src and Batch are for what goes to the sender before the answer; Src is nil on a stream that
	// is not authenticated.
	Src    *session.Session
	Batch  *session.Batch
	From   stanza.JID // full JID of the sender; the zero JID on a stream that is not authenticated
	Target stanza.JID // the domain, or the bare JID of an account
	Set    bool
	Stanza *stanza.Stanza
	// After is called once the result is in the sender's queue, if the handler has set it: what it
	// sends comes behind the result.
	After func(*session.Batch)
}

// Payload is the child element of the IQ, as received.
func (iq *IQ) Payload() []byte { return iq.Stanza.Get(iq.Stanza.Child) }

// Name is the local name of the payload's element.
func (iq *IQ) Name() string { return string(iq.Stanza.Get(iq.Stanza.ChildName)) }

// Own reports whether the target is the sender's own account.
func (iq *IQ) Own() bool { return iq.Target == iq.From.Bare() }

// Error is a stanza error (RFC 6120 section 8.3).
type Error struct {
	Type      string // auth, cancel, continue, modify, wait
	Condition string // RFC 6120 section 8.3.3
	Text      string // for people; may be empty
	App       string // application-specific condition, an XML element (section 8.3.4); may be empty
}

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Condition
	}
	return e.Condition + ": " + e.Text
}

// BadRequest is the error for a payload that doesn't make sense.
func BadRequest(text string) *Error {
	return &Error{Type: "modify", Condition: "bad-request", Text: text}
}

// NotAllowed is the error for something nobody may do.
func NotAllowed(text string) *Error {
	return &Error{Type: "cancel", Condition: "not-allowed", Text: text}
}

// Forbidden is the error for something this sender may not do.
func Forbidden(text string) *Error {
	return &Error{Type: "auth", Condition: "forbidden", Text: text}
}

// Unavailable is the error for something that nobody answers here.
func Unavailable() *Error { return &Error{Type: "cancel", Condition: "service-unavailable"} }

// Uncertain is the error for what may have been stored, or may come to be, and may be delivered then (store.ErrUncertain).
func Uncertain() *Error {
	return &Error{Type: "wait", Condition: "remote-server-timeout", Text: "those who keep it could not say in time whether they have it: this may have been stored, and be delivered later"}
}

// NotFound is the error for something that is not there.
func NotFound(text string) *Error {
	return &Error{Type: "cancel", Condition: "item-not-found", Text: text}
}
