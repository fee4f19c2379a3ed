package appclient

import (
	"errors"
	"fmt"
)

// The sentinel errors, for errors.Is. Returned errors wrap them with what was
// tried and what to do.
var (
	// ErrNotFound: there is no such object.
	ErrNotFound = errors.New("object not found")
	// ErrConflict: a condition did not hold; nothing of the batch was applied,
	// nor will it be. errors.As finds a *ConflictError.
	ErrConflict = errors.New("condition not met")
	// ErrUnavailable: the operation was surely not applied and never will be. Of
	// Dial: there is no operation yet.
	ErrUnavailable = errors.New("store not available")
	// ErrUnknownOutcome: a write may or may not have been applied, or may still
	// be. Read before writing again.
	ErrUnknownOutcome = errors.New("outcome unknown; the write may or may not have been applied")
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
)

// ConflictError says which condition of a write did not hold.
type ConflictError struct {
	Root    string
	Path    string
	Version uint64 // the object's version now; 0: there is none
}

func (e *ConflictError) Error() string {
	if e.Version == 0 {
		return fmt.Sprintf("condition not met: object %q of root %q does not exist", e.Path, e.Root)
	}
	return fmt.Sprintf("condition not met: object %q of root %q has version %d", e.Path, e.Root, e.Version)
}

// Is makes a ConflictError an ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }
