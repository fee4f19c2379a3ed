package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

func records(ctx context.Context, s store.Store) error {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	keys := [][]byte{{}, {0}, []byte("k"), all}
	err := s.Update(ctx, "o", func(tx store.Tx) error {
		if _, err := tx.Get("c", keys[0]); err != store.ErrNotFound { //nolint:errorlint // as it is, the interface says
			return fmt.Errorf("get in an empty store: %w", orNone(err))
		}
		for _, k := range keys {
			key, value := bytes.Clone(k), bytes.Clone(k)
			if err := tx.Put("c", key, value); err != nil {
				return err
			}
			clear(key) // both are the caller's again
			clear(value)
			if err := has(tx, "c", k, k); err != nil {
				return err
			}
		}
		return errors.Join(tx.Put("c", []byte("k"), []byte("new")), tx.Put("c", []byte("x"), nil), tx.Delete("c", []byte("x")),
			tx.Delete("c", []byte("none")), tx.Delete("none", []byte("k")), tx.Put("d", nil, nil))
	})
	if err != nil {
		return err
	}
	err = holds(ctx, s, "o", "c", rec{}, rec{"\x00", "\x00"}, rec{string(all), string(all)}, rec{"k", "new"})
	return errors.Join(err, holds(ctx, s, "o", "d", rec{}), holds(ctx, s, "o", "none"), s.View(ctx, "o", func(r store.Reader) error {
		_, missing := r.Get("c", []byte("x"))
		_, nowhere := r.Get("none", nil)
		return errors.Join(has(r, "d", nil, nil), is("deleted record", missing, store.ErrNotFound), is("no collection", nowhere, store.ErrNotFound))
	}))
}

func limits(ctx context.Context, s store.Store) error {
	touch := func(tx store.Tx) error { return tx.Put("c", nil, nil) }
	var errs []error
	for _, o := range []string{"a\x00b", "\x00", strings.Repeat("o", store.MaxOwner+1)} {
		errs = append(errs, is("update of a bad owner", s.Update(ctx, o, touch), store.ErrInvalid),
			is("view of a bad owner", s.View(ctx, o, func(store.Reader) error { return nil }), store.ErrInvalid),
			is("owners behind a bad owner", s.Owners(ctx, "c", o, func(string) bool { return true }), store.ErrInvalid))
	}
	long, longest := make([]byte, store.MaxKey+1), strings.Repeat("o", store.MaxOwner)
	errs = append(errs, s.Update(ctx, longest, func(tx store.Tx) error {
		for _, c := range []string{"", "A", "a/b", "a\x00", strings.Repeat("c", store.MaxCollection+1)} {
			_, getErr := tx.Get(c, nil)
			_, delErr := tx.DeleteRange(c, store.Range{})
			scanErr := tx.Scan(c, store.Range{}, func(_, _ []byte) bool { return true })
			for _, err := range []error{getErr, delErr, scanErr, tx.Put(c, nil, nil), tx.Delete(c, nil)} {
				if err := is(fmt.Sprintf("collection %q", c), err, store.ErrInvalid); err != nil {
					return err
				}
			}
		}
		_, getErr := tx.Get("c", long)
		return errors.Join(is("get with a long key", getErr, store.ErrInvalid), is("delete with a long key", tx.Delete("c", long), store.ErrInvalid),
			is("put with a long key", tx.Put("c", long, nil), store.ErrInvalid),
			is("put of a large value", tx.Put("c", nil, make([]byte, store.MaxValue+1)), store.ErrInvalid),
			tx.Put("c", long[1:], nil))
	}))
	return errors.Join(append(errs, holds(ctx, s, longest, "c", rec{key: string(long[1:])}),
		is("owners of a bad collection", s.Owners(ctx, "C", "", func(string) bool { return true }), store.ErrInvalid))...)
}

func largeValues(ctx context.Context, s store.Store) error {
	var want []rec
	for i, size := range []int{1, 4 << 10, 64 << 10, 1 << 20, store.MaxValue} {
		r := rec{string(rune('a' + i)), strings.Repeat(string(rune('p'+i)), size)}
		if err := put(ctx, s, "o", "c", r); err != nil {
			return err
		}
		want = append(want, r)
	}
	if err := holds(ctx, s, "o", "c", want...); err != nil {
		return err
	}
	var many []rec
	for i := range 3000 { // several pages of whatever it is
		many = append(many, rec{fmt.Sprintf("%06d", i), strings.Repeat("v", 100)})
	}
	if err := put(ctx, s, "o", "many", many...); err != nil {
		return err
	}
	if err := holds(ctx, s, "o", "many", many...); err != nil {
		return err
	}
	return errors.Join(s.Update(ctx, "o", func(tx store.Tx) error {
		n, err := tx.DeleteRange("many", store.Range{From: []byte("000100"), To: []byte("002900")})
		if n != 2800 || err != nil {
			return fmt.Errorf("deleted %d of 2800: %w", n, orNone(err))
		}
		return nil
	}), holds(ctx, s, "o", "many", append(many[:100:100], many[2900:]...)...))
}

// drop: nothing of the owner is left, and nobody else's is gone.
func drop(ctx context.Context, s store.Store) error {
	for _, o := range []string{"", "a", "ab", "b"} {
		for _, c := range []string{"c", "d"} {
			if err := put(ctx, s, o, c, rec{"", o}, rec{"k", o}); err != nil {
				return err
			}
		}
	}
	err := s.Update(ctx, "a", func(tx store.Tx) error {
		return errors.Join(tx.Put("e", nil, nil), tx.Drop(), tx.Put("d", []byte("new"), nil))
	})
	if err != nil {
		return err
	}
	return errors.Join(holds(ctx, s, "a", "c"), holds(ctx, s, "a", "d", rec{key: "new"}), holds(ctx, s, "a", "e"),
		holds(ctx, s, "ab", "c", rec{"", "ab"}, rec{"k", "ab"}), holds(ctx, s, "", "d", rec{"", ""}, rec{"k", ""}),
		holds(ctx, s, "b", "c", rec{"", "b"}, rec{"k", "b"}),
		s.Update(ctx, "nobody", func(tx store.Tx) error { return tx.Drop() }))
}
