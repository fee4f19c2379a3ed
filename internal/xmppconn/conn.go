package xmppconn

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

var errSkeleton = errors.New("not written yet")

// Conn is one logged-in stream. It lives from Handler.Up to Handler.Down.
type Conn struct {
	jid string
}

// JID returns the full JID as the server bound it.
func (c *Conn) JID() string { return c.jid }

// Send queues one stanza, or several in a row, and returns at once; the bytes
// are copied. Safe for concurrent use. Errors: ErrClosed, ErrOverflow. Nil says
// only that the bytes are queued.
func (c *Conn) Send(stanza []byte) error { return errSkeleton }

// Flush wakes the writer. Send does so by itself.
func (c *Conn) Flush() {}

// Run keeps a stream up until ctx ends. See the package comment.
func Run(ctx context.Context, cfg Config, h Handler) error { return errSkeleton }

// IQs matches answers to IQs that were sent.
type IQs struct{}

// StanzaError is an answer of type error (RFC 6120 section 8.3).
type StanzaError struct {
	Type      string
	Condition string
	Text      string
}

func (e *StanzaError) Error() string { return e.Condition + ": " + e.Text }

// Do sends an IQ with payload to a JID ("" is the own account) and waits for
// its answer. It returns a copy of the result's child element, nil if it has
// none. Errors: *StanzaError when the answer is an error, ErrClosed when the
// stream ended before it came, ctx's error. Must not be called from a Handler.
func (q *IQs) Do(ctx context.Context, c *Conn, to, typ string, payload []byte) (child []byte, err error) {
	return nil, errSkeleton
}

// Handle takes an IQ result or error that answers a Do and reports whether it
// did. Call it from Handler.Stanza.
func (q *IQs) Handle(st *stanza.Stanza) bool { return false }

// Down fails everything that waits with ErrClosed. Call it from Handler.Down.
func (q *IQs) Down() {}
