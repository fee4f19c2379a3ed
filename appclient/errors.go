package appclient

import (
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// The sentinel errors, for errors.Is. Returned errors wrap them with what was
// tried and what to do. What each method may return is in its comment; Write
// errors and Read errors stand for:
//
//   - write errors: ErrConflict, ErrUnavailable, ErrOverloaded,
//     ErrUnknownOutcome, ErrInvalid, ErrTooLarge, ErrDenied, ErrClosed,
//     ErrReplaced
//   - read errors: ErrUnavailable, ErrOverloaded, ErrInvalid, ErrTooLarge,
//     ErrDenied, ErrClosed, ErrReplaced
var (
	// ErrNotFound: there is no such object.
	ErrNotFound = errors.New("object not found")
	// ErrConflict: a condition did not hold; nothing of the batch was applied,
	// nor will it be. errors.As finds a *ConflictError, unless the condition was one
	// on the root's revision.
	ErrConflict = errors.New("condition not met")
	// ErrUnavailable: the operation was surely not applied and never will be. Of
	// Dial: there is no operation yet.
	ErrUnavailable = errors.New("store not available")
	// ErrOverloaded: a limit of this client or of a node was reached until the
	// context ended. The operation was surely not applied and never will be.
	// errors.As finds an *OverloadedError, which says when to come again.
	ErrOverloaded = errors.New("over a limit of load")
	// ErrFull: no replica of the partition that could be asked has room on its disk.
	// Free space or add nodes. It comes with ErrUnavailable, which says that the
	// write was surely not applied, or within an ErrUnknownOutcome; as long as one
	// replica has room the client goes on instead.
	ErrFull = errors.New("disks full")
	// ErrUnknownOutcome: a write may or may not have been applied, or may still
	// be. errors.As finds an *UnknownOutcomeError, whose Op Client.Status takes.
	ErrUnknownOutcome = errors.New("outcome unknown; the write may or may not have been applied")
	// ErrCompacted: the changes asked for lie too far back to be known any more.
	// Read what there is now, and watch from there.
	ErrCompacted = errors.New("changes so far back are no longer known")
	// ErrSettled: the write was surely not applied and never will be under its id, since somebody asked
	// Client.Status what became of it. Write under a new id. It is an ErrUnavailable, too.
	ErrSettled error = settled{}
	// ErrInvalid: the request is malformed (a key with control characters, a
	// path named twice, a JID that is none, …); nothing was sent or applied.
	ErrInvalid = errors.New("invalid request")
	// ErrTooLarge: over a limit of the store; nothing was applied.
	ErrTooLarge = errors.New("over a limit of the store")
	// ErrDenied: this account may not do that; nothing was applied.
	ErrDenied = errors.New("denied")
	// ErrClosed: Close was called before the operation was answered. A write that
	// ends with it was surely not applied and never will be; one that may have
	// been ends with ErrUnknownOutcome instead, never with both.
	ErrClosed = errors.New("client is closed")
	// ErrReplaced: another client logged in under the same full JID, and the server
	// ended this one's stream. Two clients that both came back would throw each other
	// out for ever, so this one is over: close it, leave Config.Resource empty, and
	// Dial anew. Of writes: as ErrClosed.
	ErrReplaced = errors.New("client is replaced")
)

// settled is the type of ErrSettled.
type settled struct{}

func (settled) Error() string        { return "write not applied" }
func (settled) Is(target error) bool { return target == ErrUnavailable } //nolint:errorlint // it is asked for itself

// ConflictError says which condition of a write did not hold.
type ConflictError struct {
	Root    string
	Path    string
	Version uint64 // the object's version then; 0: there was none
	Counter bool   // it was added to, and is no counter or the sum would not fit

	wanted op.Condition // for people

	items    []op.Item // of the whole batch, as the log found them
	revision uint64    // of the root then
}

func (e *ConflictError) Error() string {
	if e.Counter {
		return fmt.Sprintf("condition not met: object %q of root %q is no counter, or the sum does not fit 64 bits", e.Path, e.Root)
	}
	text := fmt.Sprintf("condition not met: object %q of root %q ", e.Path, e.Root)
	if e.Version == 0 {
		text += "does not exist"
	} else {
		text += fmt.Sprintf("has version %d", e.Version)
	}
	if e.wanted.Kind != op.Always {
		text += "; it was " + describeCondition(e.wanted)
	}
	return text
}

// Is makes a ConflictError an ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// UnknownOutcomeError names a write that may or may not have been applied.
type UnknownOutcomeError struct {
	Op    OpID // for Client.Status
	cause error
}

func (e *UnknownOutcomeError) Error() string {
	return ErrUnknownOutcome.Error() + ": " + e.cause.Error()
}

// Is makes an UnknownOutcomeError an ErrUnknownOutcome.
func (e *UnknownOutcomeError) Is(target error) bool { return target == ErrUnknownOutcome }

// Unwrap returns what ended the wait.
func (e *UnknownOutcomeError) Unwrap() error { return e.cause }

func isUnknown(err error) bool {
	_, ok := err.(*UnknownOutcomeError)
	return ok
}

// OverloadedError says when to come again.
type OverloadedError struct {
	RetryAfter time.Duration // from now; 0: soon
	cause      error
}

func (e *OverloadedError) Error() string { return ErrOverloaded.Error() + ": " + e.cause.Error() }

// Is makes an OverloadedError an ErrOverloaded.
func (e *OverloadedError) Is(target error) bool { return target == ErrOverloaded }

// Unwrap returns what ended the wait.
func (e *OverloadedError) Unwrap() error { return e.cause }
