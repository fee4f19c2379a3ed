package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// ownersPage is how many owners are read in one transaction: the caller's function runs outside.
const ownersPage = 256

// reader is one owner's view of a transaction.
type reader struct {
	data    *bbolt.Bucket
	owner   string
	faults  *faults
	changes int  // made by this update so far: cursors don't survive one
	inside  bool // in bbolt, not in the caller's function: whose panics are whose
}

// View implements store.Store.
func (s *Store) View(ctx context.Context, owner string, f func(store.Reader) error) error {
	if err := errors.Join(store.CheckOwner(owner), ctx.Err()); err != nil {
		return err
	}
	r := &reader{owner: owner, faults: &s.faults, inside: true}
	return s.guard(&r.inside, func() error {
		tx, err := s.begin(false)
		if err != nil {
			return err
		}
		defer s.release(tx)
		r.data = tx.Bucket(bucketData())
		r.inside = false
		return f(r)
	})
}

// begin begins a transaction. release ends it.
func (s *Store) begin(writable bool) (tx *bbolt.Tx, err error) {
	if s.stuck.Load() {
		return nil, s.errStuck()
	}
	err = s.internal(func() (err error) {
		tx, err = s.db.Begin(writable)
		return err
	})
	switch {
	case err == nil:
		return tx, nil
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return nil, store.ErrClosed
	case errors.Is(err, store.ErrCorrupt):
		s.stuck.Store(true)
	}
	return nil, fmt.Errorf("begin transaction: %w", err)
}

// key is the key on disk.
func (r *reader) key(key []byte) []byte {
	k := make([]byte, 0, len(r.owner)+1+len(key))
	k = append(k, r.owner...)
	if !r.faults.noSeparator {
		k = append(k, 0)
	}
	return append(k, key...)
}

// bounds are the range of keys on disk; the end is exclusive.
func (r *reader) bounds(rng store.Range) (from, to []byte) {
	switch {
	case rng.To != nil:
		to = r.key(rng.To)
	case r.faults.noOwnerBound:
		to = []byte{0xff}
	default:
		to = append([]byte(r.owner), 1)
	}
	return r.key(rng.From), to
}

func (r *reader) body(collection string, key, value []byte) ([]byte, error) {
	body, err := unseal(key, value)
	if err == nil {
		return body, nil
	}
	if r.faults.noChecksum {
		return value[min(recordHeader, len(value)):], nil
	}
	return nil, &store.RecordError{Collection: collection, Owner: r.owner, Key: append([]byte{}, key[len(r.key(nil)):]...), Err: err}
}

// Get implements store.Reader.
func (r *reader) Get(collection string, key []byte) ([]byte, error) {
	r.inside = true
	v, err := r.get(collection, key)
	r.inside = false
	return v, err
}

func (r *reader) get(collection string, key []byte) ([]byte, error) {
	if err := store.Check(collection, key, nil); err != nil {
		return nil, err
	}
	b := r.data.Bucket([]byte(collection))
	if b == nil {
		return nil, store.ErrNotFound
	}
	k := r.key(key)
	v := b.Get(k)
	if v == nil {
		return nil, store.ErrNotFound
	}
	return r.body(collection, k, v)
}

// Scan implements store.Reader.
func (r *reader) Scan(collection string, rng store.Range, f func(key, value []byte) bool) error {
	if err := store.CheckCollection(collection); err != nil {
		return err
	}
	r.inside = true
	var bad error
	own := len(r.key(nil))
	err := r.walk(r.data.Bucket([]byte(collection)), rng, func(k, v []byte) bool {
		body, err := r.body(collection, k, v)
		bad = err
		if err != nil {
			return false
		}
		r.inside = false
		more := f(k[own:len(k):len(k)], body)
		r.inside = true
		return more
	})
	r.inside = false
	return errors.Join(bad, err)
}

// walk calls f for each record of a range, as it is on disk, until f returns false. ErrCorrupt if
// the keys are in no order: looking for the next one might not end.
func (r *reader) walk(b *bbolt.Bucket, rng store.Range, f func(k, v []byte) bool) error {
	if b == nil {
		return nil
	}
	from, to := r.bounds(rng)
	c := b.Cursor()
	var k, v []byte
	if rng.Reverse {
		k, v = before(c, to)
	} else {
		k, v = c.Seek(from)
	}
	for k != nil && bytes.Compare(k, from) >= 0 && bytes.Compare(k, to) < 0 {
		was, last := r.changes, k
		if !f(k, v) {
			return nil
		}
		switch {
		case rng.Reverse && b.Writable():
			k, v = before(c, k)
		case rng.Reverse:
			k, v = c.Prev()
		case was != r.changes:
			k, v = behind(c, k)
		default:
			k, v = c.Next()
		}
		if k != nil && (bytes.Compare(k, last) > 0) == rng.Reverse {
			return fmt.Errorf("%w: owner %q, key %q is out of order", store.ErrCorrupt, r.owner, k)
		}
	}
	return nil
}

// maxEmpty is how many empty pages in a row before looks behind. No transaction makes as many.
const maxEmpty = 1 << 20

// before moves to the last record with a key below k. A transaction that has deleted records may
// have empty pages, at which Prev returns nil as at the beginning, and Last doesn't end if there are
// only such pages: so it is first made sure that there is a record to be found.
func before(c *bbolt.Cursor, k []byte) (key, value []byte) {
	if first, _ := c.First(); first == nil || bytes.Compare(first, k) >= 0 {
		return nil, nil
	}
	if found, _ := c.Seek(k); found == nil {
		return c.Last()
	}
	for range maxEmpty {
		if key, value = c.Prev(); key != nil {
			break
		}
	}
	return key, value
}

// behind moves to the first record with a key above k.
func behind(c *bbolt.Cursor, k []byte) (key, value []byte) {
	key, value = c.Seek(k)
	if bytes.Equal(key, k) {
		return c.Next()
	}
	return key, value
}

// Owners implements store.Store.
func (s *Store) Owners(ctx context.Context, collection, after string, f func(string) bool) error {
	if err := errors.Join(store.CheckCollection(collection), store.CheckOwner(after)); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := s.owners(collection, after)
		if err != nil {
			return err
		}
		for _, o := range page {
			if !f(o) {
				return nil
			}
		}
		if len(page) < ownersPage {
			return nil
		}
		after = page[len(page)-1]
	}
}

// owners returns the next owners behind one.
func (s *Store) owners(collection, after string) (page []string, err error) {
	err = s.internal(func() error {
		page, err = s.ownersPage(collection, after)
		return err
	})
	return page, err
}

func (s *Store) ownersPage(collection, after string) (page []string, err error) {
	tx, err := s.begin(false)
	if err != nil {
		return nil, err
	}
	defer s.release(tx)
	b := tx.Bucket(bucketData()).Bucket([]byte(collection))
	if b == nil {
		return nil, nil
	}
	c := b.Cursor()
	for k, _ := c.Seek(append([]byte(after), 1)); k != nil && len(page) < ownersPage; k, _ = c.Seek(append([]byte(after), 1)) {
		owner, _, found := bytes.Cut(k, []byte{0})
		if !found || string(owner) <= after {
			return nil, fmt.Errorf("%w: %s: key %q names no owner behind %q", store.ErrCorrupt, collection, k, after)
		}
		after = string(owner)
		page = append(page, after)
	}
	return page, nil
}

// Collections lists the collections that have records, in order.
func (s *Store) Collections() (names []string, err error) {
	tx, err := s.begin(false)
	if err != nil {
		return nil, err
	}
	defer s.release(tx)
	err = s.internal(func() error {
		data := tx.Bucket(bucketData())
		return data.ForEachBucket(func(name []byte) error {
			if k, _ := data.Bucket(name).Cursor().First(); k != nil {
				names = append(names, string(name))
			}
			return nil
		})
	})
	return names, err
}
