package module

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Extender is a module that adds to the core. Extend is called once, when the server starts, in
// the order in which the server lists its modules; hooks run in that order, too.
type Extender interface {
	Module
	Extend(*Extension)
}

// Runner is a module with work of its own. Run is called once when the server starts, in a goroutine
// that the server waits for, and returns soon after ctx has ended; no stanzas come in then.
type Runner interface {
	Module
	Run(ctx context.Context)
}

// Extension is what a module adds. What stays nil or empty costs nothing.
type Extension struct {
	// Interest is the module's mark, set by the core before Extend: hooks run for accounts that
	// have it, and at first every account has. See session.Interest.
	Interest session.Interest

	// StanzaSent sees each stanza that a client or component sends, exactly once, before anything
	// else is done with it. An error stops it and is its answer.
	StanzaSent func(context.Context, *Passage) error
	// MessageSent sees each message that a client sends, exactly once. An error is its answer.
	MessageSent func(context.Context, *Passage) error
	// MessageReceived sees each message for an account of the domain, exactly once, before it is
	// delivered to sessions of the account, if it has any. An error stops it and is its answer.
	MessageReceived func(ctx context.Context, owner stanza.JID, p *Passage) error
	// MessageDue sees each message of type chat, and of type normal to a bare JID, that is about to be
	// queued for sessions of an account. It returns true if the module keeps it instead, to deliver
	// it behind others that it has for the account.
	MessageDue func(ctx context.Context, owner stanza.JID, p *Passage) bool
	// MessageDelivered sees each message for an account after the sessions in took have got it. It
	// returns true if the message is in good hands; when took is empty and all return false the
	// message goes back to its sender. It is called again, with an empty took and a nil Src, for a
	// message that a session took and could not write before its connection died. With an empty
	// took it is called whether the account has the mark or not.
	MessageDelivered func(ctx context.Context, owner stanza.JID, p *Passage, took []*session.Session) bool
	// Blocks tells whether an account wants nothing to do with somebody (XEP-0191): nothing of
	// theirs is delivered to it, and it can't send them anything.
	Blocks func(ctx context.Context, owner, other stanza.JID) (bool, error)
	// Remember looks up what the other hooks need of an account and the module remembers (session.Memo), so that
	// they find it in memory. It may wait for the store.
	Remember func(ctx context.Context, owner stanza.JID) error
	// Arrives is called before a session that was sent no messages to the bare JID can be sent them;
	// Available follows.
	Arrives func(*session.Session)
	// Available is called when a session has sent its first available presence, or has raised its
	// priority from negative, after the broadcast.
	Available func(context.Context, *session.Session, *session.Batch)
	// Ended is called once when a session is gone, after its presence was taken back.
	Ended func(context.Context, *session.Session)
	// Returned is called once when a session is gone and everything that it was given and did not
	// get has been delivered to others, kept (MessageDelivered) or sent back.
	Returned func(context.Context, *session.Session, *session.Batch)

	// Nonzas are handlers of first-level elements that are no stanzas, by namespace.
	Nonzas map[string]NonzaHandler
	// StreamFeatures is announced to clients that have logged in, as XML.
	StreamFeatures string
	// AccountFeatures are service discovery features of a user's own bare JID.
	AccountFeatures []string
	// Forms are data forms (XEP-0128) in the server's service discovery answer, as XML.
	Forms []string
	// Node answers service discovery of a node of the server or of an own account. ok is false for
	// a node that is not this module's. items says that what is asked for is items, not info.
	Node func(ctx context.Context, iq *IQ, node string, items bool) (query []byte, ok bool, err error)
}

// NonzaHandler takes an element that is no stanza from a session. An error ends the stream: a
// *StreamError is sent as it is.
type NonzaHandler func(ctx context.Context, s *session.Session, el *stanza.Stanza, b *session.Batch) error

// StreamError ends a stream (RFC 6120 section 4.9).
type StreamError struct {
	Condition string // RFC 6120 section 4.9.3
	Text      string // for people; may be empty
	App       string // application-specific condition, an XML element (section 4.9.4); may be empty
	Host      string // of see-other-host: host or host:port
}

func (e *StreamError) Error() string {
	if e.Text == "" {
		return "stream error: " + e.Condition
	}
	return "stream error: " + e.Condition + ": " + e.Text
}

// Domain takes what is addressed to a domain other than the server's own: an external component, a
// service of a module, a link to another server. It is safe for concurrent use.
type Domain interface {
	// Receive takes one stanza; p is valid during the call. An error is told to the sender.
	Receive(ctx context.Context, p *Passage) error
}

// Injector routes stanzas that the server makes itself, or that come over other ways than a client's stream.
type Injector interface {
	// Inject routes a whole stanza that bears its "from" already. Hooks of its receiver see it.
	// An error tells that nobody took it, and that the sender, if it needs to know, must be told
	// by the caller.
	Inject(ctx context.Context, raw []byte, b *session.Batch) error
}
