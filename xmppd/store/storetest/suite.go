package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Case is one property of a Store. Its function opens the same data each time it calls open, at
// first empty, and closes each store before it opens the next.
type Case struct {
	Name string
	Run  func(ctx context.Context, open func() store.Store) error
}

// Run tests an implementation. open opens the data of a directory, which is at first empty.
func Run(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.Run(t.Context(), func() store.Store { return open(t, dir) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// Cases are what Run runs, one by one: with a bug planted a store must fail some of them.
func Cases() []Case {
	return []Case{
		{"Records", once(records)},
		{"Limits", once(limits)},
		{"LargeValues", once(largeValues)},
		{"OwnersApart", once(ownersApart)},
		{"Ranges", once(ranges)},
		{"ScanWhileWriting", once(scanWhileWriting)},
		{"Drop", once(drop)},
		{"Owners", once(owners)},
		{"Atomic", once(atomic)},
		{"Panic", once(panics)},
		{"Cancelled", once(cancelled)},
		{"CancelledInFlight", once(cancelledInFlight)},
		{"OneOwnerConcurrently", once(oneOwner)},
		{"ManyOwnersConcurrently", once(manyOwners)},
		{"ViewsAreConsistent", once(consistent)},
		{"Durable", durable},
		{"Close", closing},
		{"Model", once(model)},
	}
}

// once makes a case of a function that needs one store.
func once(f func(ctx context.Context, s store.Store) error) func(context.Context, func() store.Store) error {
	return func(ctx context.Context, open func() store.Store) error {
		s := open()
		return errors.Join(f(ctx, s), s.Close())
	}
}

// rec is a record as the cases write it down.
type rec struct{ key, value string }

// scan collects a range.
func scan(r store.Reader, collection string, rng store.Range) (got []rec, err error) {
	err = r.Scan(collection, rng, func(k, v []byte) bool {
		got = append(got, rec{string(k), string(v)})
		return true
	})
	return got, err
}

// dump is all of an owner's records in a collection.
func dump(ctx context.Context, s store.Store, owner, collection string) (got []rec, err error) {
	err = s.View(ctx, owner, func(r store.Reader) (err error) {
		got, err = scan(r, collection, store.Range{})
		return err
	})
	return got, err
}

// put writes records in one update.
func put(ctx context.Context, s store.Store, owner, collection string, recs ...rec) error {
	return s.Update(ctx, owner, func(tx store.Tx) error {
		for _, r := range recs {
			if err := tx.Put(collection, []byte(r.key), []byte(r.value)); err != nil {
				return err
			}
		}
		return nil
	})
}

// holds reports whether an owner's collection has exactly these records.
func holds(ctx context.Context, s store.Store, owner, collection string, want ...rec) error {
	got, err := dump(ctx, s, owner, collection)
	if err != nil {
		return err
	}
	return same(fmt.Sprintf("%s of %q", collection, owner), got, want)
}

func same(what string, got, want []rec) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s: %d records, want %d: %.200q, want %.200q", what, len(got), len(want), got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			return fmt.Errorf("%s: record %d is %.200q, want %.200q", what, i, got[i], want[i])
		}
	}
	return nil
}

// is reports an error that is not the one wanted.
func is(what string, err, want error) error {
	if !errors.Is(err, want) || (want == nil && err != nil) {
		return fmt.Errorf("%s: error %w, want %w", what, orNone(err), orNone(want))
	}
	return nil
}

func orNone(err error) error {
	if err == nil {
		return errors.New("none")
	}
	return err
}

// has reports whether a record has a value.
func has(r store.Reader, collection string, key, value []byte) error {
	v, err := r.Get(collection, key)
	if err != nil {
		return fmt.Errorf("get %s %q: %w", collection, key, err)
	}
	if v == nil || !bytes.Equal(v, value) {
		return fmt.Errorf("%s %q is %.40q, want %.40q", collection, key, v, value)
	}
	return nil
}
