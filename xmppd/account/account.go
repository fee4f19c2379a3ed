// Package account keeps what an XMPP server stores for its users: credentials, rosters and shared
// groups. Store is what the rest of the server sees; Bolt implements it on one bbolt file.
package account

import (
	"context"
	"errors"
	"time"
)

// Errors of a Store. All are wrapped with what was asked for; test with errors.Is.
var (
	// ErrNotFound: there is no such account (or roster item).
	ErrNotFound = errors.New("no such account")
	// ErrExists: an account of that name exists already.
	ErrExists = errors.New("account exists already")
	// ErrLocked: another process has the data directory open.
	ErrLocked = errors.New("data directory is in use by another process")
	// ErrNewerFormat: the file was written by a later version of this program.
	ErrNewerFormat = errors.New("data directory has a newer format")
	// ErrForeign: the data belongs to another domain, or is not ours at all.
	ErrForeign = errors.New("data directory belongs to something else")
	// ErrCorrupt: a record's checksum does not fit its bytes.
	ErrCorrupt = errors.New("stored record is damaged")
	// ErrInvalid: a name, group or password that can't be accepted.
	ErrInvalid = errors.New("invalid account")
)

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
	// Listed is false for an item that only holds a request of the contact: such an item is not
	// part of the roster that the owner sees (RFC 6121 section 3.1.3).
	Listed bool `json:"listed,omitempty"`
	// Request is the subscription request of the contact that awaits the owner's answer.
	Request []byte `json:"request,omitempty"`
}

// Store holds accounts and rosters. All methods are safe for concurrent use; a change is durable
// when its method returns nil. Names are localparts that Prepare has accepted.
type Store interface {
	// Create adds an account. ErrExists if the name is taken.
	Create(ctx context.Context, a *Account) error
	// SetKeys replaces the credentials of an account. ErrNotFound.
	SetKeys(ctx context.Context, name string, sha256, sha1 Keys) error
	// Delete removes an account and its roster. ErrNotFound.
	Delete(ctx context.Context, name string) error
	// Account returns one account. ErrNotFound.
	Account(ctx context.Context, name string) (*Account, error)
	// List calls f for each account in the order of names until f returns false.
	List(ctx context.Context, f func(*Account) bool) error
	// Grouped returns name and group of every account that has a group, in the order of names.
	Grouped(ctx context.Context) ([]Member, error)

	// Roster returns all items of an account, unlisted ones included, in the order of contacts.
	Roster(ctx context.Context, name string) ([]Item, error)
	// Item returns one item; a fresh one with SubNone if there is none.
	Item(ctx context.Context, name, contact string) (Item, error)
	// UpdateItem changes one item in a transaction. f gets the present item (or a fresh one) and
	// changes it; the item is removed if it ends unlisted without subscription or request.
	// f returns false to leave everything as it is.
	UpdateItem(ctx context.Context, name, contact string, f func(*Item) bool) error

	// Secret is a random key of this data directory, the same at each start.
	Secret() []byte
	// Close releases the data directory.
	Close() error
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
