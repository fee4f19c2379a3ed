// Package store is where the server keeps what has to survive it: small records, grouped by owner.
//
// An owner is an account of the domain, named by its localpart, or the domain itself, named "". All
// records of one owner are read and changed together, consistently and atomically; nothing spans
// two owners. That makes an owner the unit by which an implementation may partition and replicate.
// An owner's records are in collections, each of which belongs to one layer or module, and within a
// collection they are ordered by their keys, as bytes.
//
// Packages below implement Store (bolt), and storetest holds the conformance suite of all
// implementations. Layers such as xmppd/account give the bytes their types.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Errors of a Store, wrapped with what was asked for; test with errors.Is.
var (
	// ErrNotFound: there is no such record. It is returned by Reader.Get as it is.
	ErrNotFound = errors.New("no such record")
	// ErrInvalid: an owner, collection, key or value that no store takes; see Check and the limits.
	ErrInvalid = errors.New("not a valid record")
	// ErrClosed: the store is closed. Nothing was changed.
	ErrClosed = errors.New("the store is closed")
	// ErrUncertain: the change may be there, or come to be there, or not. On one disk it failed while it
	// was being made durable, and the store takes no more changes until it is opened again. In a cluster
	// those who know could not be reached in time; other changes are taken.
	ErrUncertain = errors.New("it is not known whether the change is stored")
	// ErrCorrupt: a record's checksum does not fit its bytes, or its content makes no sense, or the
	// order of the records on the disk does not. A RecordError tells which record it is.
	ErrCorrupt = errors.New("stored data is damaged")

	// ErrLocked: another process has the data directory open.
	ErrLocked = errors.New("data directory is in use by another process")
	// ErrNewerFormat: the data was written by a later version of this program.
	ErrNewerFormat = errors.New("data directory has a newer format")
	// ErrOldFormat: the data was written by a version that was never released.
	ErrOldFormat = errors.New("data directory was written by a pre-release")
	// ErrForeign: the data belongs to another domain, or is not ours at all.
	ErrForeign = errors.New("data directory belongs to something else")
	// ErrNoDomain: the data directory is new, and no domain was given to make it for.
	ErrNoDomain = errors.New("data directory is empty")
	// ErrNoData: there is nothing where data was to be found.
	ErrNoData = errors.New("no server has its data here")
)

// Limits of what a store takes, in bytes.
const (
	MaxOwner      = 1023 // a localpart (RFC 7622 section 3.3)
	MaxCollection = 64
	MaxKey        = 4096
	MaxValue      = 16 << 20
)

// Store keeps records. All methods are safe for concurrent use.
type Store interface {
	// View runs f on one consistent state of an owner's records: all that Updates have returned for
	// before View was called. It returns f's error as it is.
	//
	// f must be brief and must not call the Store: writers may have to wait for it.
	View(ctx context.Context, owner string, f func(Reader) error) error

	// Update runs f and makes its changes durable, all or none, before it returns nil. Updates of
	// one owner come one after another, and f sees all earlier ones. An error of f is returned as
	// it is and leaves everything as it was, and so does every other error but ErrUncertain.
	//
	// f may run more than once, in another goroutine, so it must set what it hands out, never add
	// to it. It must be brief and must not call the Store or runtime.Goexit (t.Fatal). A ctx that
	// ends before f runs is the error; afterwards Update waits for the disk.
	Update(ctx context.Context, owner string, f func(Tx) error) error

	// Owners calls f, in byte order, for each account with records in a collection, beginning
	// behind `after` ("": at the first), until f returns false. It leaves out the domain. f may
	// call the Store; owners that come or go meanwhile may be seen or not.
	Owners(ctx context.Context, collection, after string, f func(owner string) bool) error

	// Secret is a random key of this data, the same at each start. It must not be changed.
	Secret() []byte
	// Domain is the domain the data was made for.
	Domain() string
	// Close waits for the Updates under way and releases the data. Later calls fail with ErrClosed.
	Close() error
}

// Reader reads one owner's records. It is valid only during the call that it was given to, in the
// goroutine of that call, and so are the slices it hands out, which must not be changed.
type Reader interface {
	// Get returns a record; ErrNotFound, ErrInvalid, or a RecordError if it can't be read.
	Get(collection string, key []byte) ([]byte, error)
	// Scan calls f for each record of a range until f returns false. A record that can't be read ends
	// it with a RecordError; ScanReadable goes on behind it. f may change the collection: no key is
	// seen twice, none is seen after it was deleted, and whether one that f puts ahead is seen is not
	// said.
	Scan(collection string, r Range, f func(key, value []byte) bool) error
}

// Tx reads and changes one owner's records. It sees its own changes.
type Tx interface {
	Reader
	// Put writes a record. The key may be empty, the value too; the caller may reuse both. ErrInvalid.
	Put(collection string, key, value []byte) error
	// Delete removes a record; that there is none is no error. ErrInvalid.
	Delete(collection string, key []byte) error
	// DeleteRange removes the records of a range, damaged ones too, and tells how many they were.
	DeleteRange(collection string, r Range) (int, error)
	// Drop removes all records of the owner, in every collection.
	Drop() error
}

// Range is a part of a collection's keys. The zero value is all of them, ascending.
type Range struct {
	From    []byte // the first key
	To      []byte // the first key behind the range; nil: to the end
	Reverse bool   // descending: the range is the same
}

// Prefix is the range of the keys that begin with p.
func Prefix(p []byte) Range {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != 0xff {
			to := append([]byte(nil), p[:i+1]...)
			to[i]++
			return Range{From: p, To: to}
		}
	}
	return Range{From: p}
}

// CheckOwner tells whether a string can be an owner: up to MaxOwner bytes without NUL. ErrInvalid.
func CheckOwner(owner string) error {
	if len(owner) > MaxOwner || strings.IndexByte(owner, 0) >= 0 {
		return fmt.Errorf("%w: owner %.80q has a NUL or more than %d bytes", ErrInvalid, owner, MaxOwner)
	}
	return nil
}

// CheckCollection tells whether a string can be the name of a collection: lower-case letters,
// digits and hyphens. ErrInvalid.
func CheckCollection(name string) error {
	if name == "" || len(name) > MaxCollection || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%w: collection %.80q; a name is a-z, 0-9 and -, up to %d bytes", ErrInvalid, name, MaxCollection)
	}
	return nil
}

// Check tells whether a record can be stored: the implementations' common part of Put. ErrInvalid.
func Check(collection string, key, value []byte) error {
	if len(key) > MaxKey || len(value) > MaxValue {
		return fmt.Errorf("%w: %s: key of %d bytes, value of %d; the limits are %d and %d",
			ErrInvalid, collection, len(key), len(value), MaxKey, MaxValue)
	}
	return CheckCollection(collection)
}
