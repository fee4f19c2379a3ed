// Package account keeps what an XMPP server stores for its users: credentials, rosters and shared
// groups. It is a typed layer over a store.Store, in which each account is an owner.
package account

import (
	"errors"
	"fmt"
	"time"
)

// Errors of a Store, wrapped with what was asked for, like those of package store; test with
// errors.Is.
var (
	// ErrNotFound: there is no such account.
	ErrNotFound = errors.New("no such account")
	// ErrExists: an account of that name exists already.
	ErrExists = errors.New("account exists already")
	// ErrNoContact: there is an account, and no such contact in its roster.
	ErrNoContact = errors.New("no such contact")
	// ErrInvalid: a name, group, password or contact that can't be accepted. Invalid makes one that
	// says why.
	ErrInvalid = errors.New("not acceptable")
)

// Invalid is an ErrInvalid whose text is all that is said.
func Invalid(format string, args ...any) error { return &invalidError{fmt.Errorf(format, args...)} }

type invalidError struct{ why error }

func (e *invalidError) Error() string        { return e.why.Error() }
func (e *invalidError) Unwrap() error        { return e.why }
func (e *invalidError) Is(target error) bool { return target == ErrInvalid }

// Account is one user of the domain.
type Account struct {
	Name    string    // localpart, prepared by RFC 7622
	Group   string    // shared group; empty: none
	Created time.Time // UTC
	SHA256  Keys      // SCRAM-SHA-256 (RFC 7677)
	SHA1    Keys      // SCRAM-SHA-1 (RFC 5802)
}

// Subscription is the state of RFC 6121 section 2.1.2.5.
type Subscription string

// The four subscription states of a roster item.
const (
	SubNone Subscription = "none"
	SubTo   Subscription = "to"   // the owner gets the contact's presence
	SubFrom Subscription = "from" // the contact gets the owner's presence
	SubBoth Subscription = "both"
)

// Item is one contact in a roster (RFC 6121 section 2.1.2).
type Item struct {
	Contact      string       `json:"jid"` // bare JID
	Name         string       `json:"name,omitempty"`
	Groups       []string     `json:"groups,omitempty"`
	Subscription Subscription `json:"sub"`
	Ask          bool         `json:"ask,omitempty"` // a request of the owner awaits its answer
	// Approved: the owner has approved the contact's request before it came (RFC 6121 section 3.4).
	Approved bool `json:"approved,omitempty"`
	// Listed is false for an item that only holds a request of the contact: such an item is not
	// part of the roster that the owner sees (RFC 6121 section 3.1.3).
	Listed bool `json:"listed,omitempty"`
	// Request is the subscription request of the contact that awaits the owner's answer.
	Request []byte `json:"request,omitempty"`
}

// Member is an account that belongs to a shared group.
type Member struct{ Name, Group string }

// Empty reports whether nothing in the item is worth keeping.
func (i *Item) Empty() bool {
	return !i.Listed && i.Subscription == SubNone && !i.Ask && i.Request == nil
}

// To reports whether the owner is subscribed to the contact's presence.
func (i *Item) To() bool { return i.Subscription == SubTo || i.Subscription == SubBoth }

// From reports whether the contact is subscribed to the owner's presence.
func (i *Item) From() bool { return i.Subscription == SubFrom || i.Subscription == SubBoth }

// SetSub composes the subscription state of its two directions.
func (i *Item) SetSub(to, from bool) {
	switch {
	case to && from:
		i.Subscription = SubBoth
	case to:
		i.Subscription = SubTo
	case from:
		i.Subscription = SubFrom
	default:
		i.Subscription = SubNone
	}
}
