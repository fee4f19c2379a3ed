package account

import (
	"context"
	"encoding/binary"
	"reflect"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// keptChanges is how many changes of a roster are remembered; who has missed more gets all of it.
const keptChanges = 128

// Changes are what a client has missed.
type Changes struct {
	Items   []Item   // added and changed, each once as it is now, in the order of their last change
	Removed []string // contacts that are no longer listed
	Version uint64   // with these changes
}

// version is what a change of now is numbered with, in microseconds. Unlike a count it is not
// given again after a backup was restored or an account was made anew.
func version() uint64 { return uint64(time.Now().UnixMicro()) } //nolint:gosec // after 1970

func versionKey(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// visible reports whether the owner's clients can see the difference: only requests that wait are
// no part of a roster.
func visible(a, b *Item) bool {
	x, y := *a, *b
	x.Request, y.Request = nil, nil
	return (a.Listed || b.Listed) && !reflect.DeepEqual(x, y)
}

// latest is the version of a roster; 0 if it has never changed.
func latest(r store.Reader) (v uint64, err error) {
	err = r.Scan(log, store.Range{Reverse: true}, func(key, _ []byte) bool {
		v = binary.BigEndian.Uint64(key)
		return false
	})
	return v, err
}

// Step is what a change does to the version of a roster. Both are the same if the owner's clients can't
// see the change.
type Step struct{ From, To uint64 }

// record writes a change into the log and forgets those that are too old.
func record(tx store.Tx, contact string, now uint64) (st Step, err error) {
	if st.From, err = latest(tx); err != nil {
		return st, err
	}
	st.To = max(now, st.From+1)
	if err := tx.Put(log, versionKey(st.To), []byte(contact)); err != nil {
		return st, err
	}
	return st, trim(tx)
}

// trim forgets the changes that are too old.
func trim(tx store.Tx) error {
	kept, oldest := 0, []byte(nil)
	err := tx.Scan(log, store.Range{Reverse: true}, func(key, _ []byte) bool {
		kept++
		oldest = append(oldest[:0], key...)
		return kept < keptChanges
	})
	if err != nil || kept < keptChanges {
		return err
	}
	_, err = tx.DeleteRange(log, store.Range{To: oldest})
	return err
}

// RosterVersion is the version of an account's roster (RFC 6121 section 2.6); 0 if it has never
// changed. It grows with every change that the owner's clients can see.
func (s *Store) RosterVersion(ctx context.Context, name string) (v uint64, err error) {
	err = s.records.View(ctx, name, func(r store.Reader) error {
		v, err = latest(r)
		return err
	})
	return v, wrap("read roster version of", name, err)
}

// RosterSince returns what has changed in a roster since a version. known is false if that can't
// be told, because the version is too old or was never given: the client needs the whole roster.
func (s *Store) RosterSince(ctx context.Context, name string, v uint64) (c Changes, known bool, err error) {
	err = s.records.View(ctx, name, func(r store.Reader) error {
		if c.Version, err = latest(r); err != nil || c.Version == v {
			known = err == nil
			return err
		}
		seen := make(map[string]bool)
		var contacts []string // the last change first
		err := r.Scan(log, store.Range{From: versionKey(v), Reverse: true}, func(key, contact []byte) bool {
			known = binary.BigEndian.Uint64(key) == v
			if !known && !seen[string(contact)] {
				seen[string(contact)] = true
				contacts = append(contacts, string(contact))
			}
			return true
		})
		if err != nil || !known {
			return err
		}
		return c.add(r, contacts)
	})
	return c, known, wrap("read roster changes of", name, err)
}

func (c *Changes) add(r store.Reader, contacts []string) error {
	for i := len(contacts) - 1; i >= 0; i-- {
		it, err := item(r, contacts[i])
		switch {
		case err != nil:
			return err
		case it.Listed:
			c.Items = append(c.Items, it)
		default:
			c.Removed = append(c.Removed, it.Contact)
		}
	}
	return nil
}
