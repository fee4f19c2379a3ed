package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// ownersApart: names and keys that would be one if they were only put together don't mix.
func ownersApart(ctx context.Context, s store.Store) error {
	owners := []string{"", "a", "a\x01", "a!", "ab", "abc", "b", "\xff", "\xff\xff"}
	keys := []string{"", "\x00", "\x00b", "\x01", "b", "bc", "\xff\xff\xff\xff"}
	of := func(o string) (rs []rec) {
		for _, k := range keys {
			rs = append(rs, rec{k, o + "|" + k})
		}
		return rs
	}
	for _, o := range owners {
		if err := put(ctx, s, o, "c", of(o)...); err != nil {
			return err
		}
	}
	for _, o := range owners {
		err := s.View(ctx, o, func(r store.Reader) error {
			back, err := scan(r, "c", store.Range{Reverse: true})
			slices.Reverse(back)
			tail, tailErr := scan(r, "c", store.Range{From: []byte("b")})
			return errors.Join(err, tailErr, same(fmt.Sprintf("%q backwards", o), back, of(o)), same(fmt.Sprintf("%q from b", o), tail, of(o)[4:]))
		})
		if err := errors.Join(err, holds(ctx, s, o, "c", of(o)...)); err != nil {
			return err
		}
	}
	for i, o := range owners { // each leaves the others as they are
		err := s.Update(ctx, o, func(tx store.Tx) error {
			n, err := tx.DeleteRange("c", store.Range{})
			if n != len(keys) {
				err = errors.Join(err, fmt.Errorf("deleted %d of %d records of %q", n, len(keys), o))
			}
			return err
		})
		if err != nil {
			return err
		}
		for j, other := range owners {
			want := of(other)
			if j <= i {
				want = nil
			}
			if err := holds(ctx, s, other, "c", want...); err != nil {
				return fmt.Errorf("after %q lost its records: %w", o, err)
			}
		}
	}
	return nil
}

func ranges(ctx context.Context, s store.Store) error {
	var all []rec
	for _, k := range []string{"", "a", "a\x00", "aa", "b", "b\xff", "b\xff\xff", "c", "\xff", "\xff\xff"} {
		all = append(all, rec{k, "v" + k})
	}
	if err := put(ctx, s, "o", "c", all...); err != nil {
		return err
	}
	b := func(s string) []byte { return []byte(s) }
	return s.View(ctx, "o", func(r store.Reader) error {
		for _, c := range []struct {
			rng      store.Range
			from, to int // of all
		}{
			{store.Range{}, 0, 10},
			{store.Range{From: b("a")}, 1, 10},
			{store.Range{From: b("a\x01"), To: b("c")}, 3, 7},
			{store.Range{To: b("a")}, 0, 1},
			{store.Range{To: b("")}, 0, 0},
			{store.Range{From: b("b"), To: b("b")}, 0, 0},
			{store.Range{From: b("c"), To: b("a")}, 0, 0},
			{store.Range{From: b("x"), To: b("y")}, 0, 0},
			{store.Range{From: b("\xff\xff\xff")}, 0, 0},
			{store.Prefix(nil), 0, 10},
			{store.Prefix(b("a")), 1, 4},
			{store.Prefix(b("b\xff")), 5, 7},
			{store.Prefix(b("\xff")), 8, 10},
			{store.Prefix(b("x")), 0, 0},
		} {
			want := slices.Clone(all[c.from:c.to])
			for _, c.rng.Reverse = range []bool{false, true} {
				got, err := scan(r, "c", c.rng)
				if err := errors.Join(err, same(fmt.Sprintf("range %+v", c.rng), got, want)); err != nil {
					return err
				}
				n := 0 // a scan ends when it is told to
				err = r.Scan("c", c.rng, func(_, _ []byte) bool { n++; return n < 2 })
				if n > 2 || n > len(want) || err != nil {
					return fmt.Errorf("scan went on for %d records: %w", n, orNone(err))
				}
				slices.Reverse(want)
			}
		}
		return nil
	})
}

// scanWhileWriting: a scan whose function deletes and writes sees each key once at most, and all
// those that were there before and were left alone.
func scanWhileWriting(ctx context.Context, s store.Store) error {
	key := func(i int) string { return fmt.Sprintf("%04d", i) }
	for _, reverse := range []bool{false, true} {
		var all []rec
		for i := range 1000 {
			all = append(all, rec{key(i), "v"})
		}
		if err := put(ctx, s, "o", "c", all...); err != nil {
			return err
		}
		err := s.Update(ctx, "o", func(tx store.Tx) error {
			seen := make(map[string]bool)
			var bad error
			err := tx.Scan("c", store.Range{Reverse: reverse}, func(k, _ []byte) bool {
				if seen[string(k)] {
					bad = fmt.Errorf("key %s came twice", k)
					return false
				}
				seen[string(k)] = true
				near := append(slices.Clone(k), '+')
				if len(k) > 4 {
					return true // one that was put ahead
				}
				bad = errors.Join(tx.Delete("c", k), tx.Put("c", near, nil))
				return bad == nil
			})
			if err := errors.Join(err, bad); err != nil {
				return err
			}
			for _, r := range all {
				if !seen[r.key] {
					return fmt.Errorf("key %s did not come (backwards: %v)", r.key, reverse)
				}
			}
			got, err := scan(tx, "c", store.Range{})
			if len(got) != len(all) || got[0].key != "0000+" {
				err = errors.Join(err, fmt.Errorf("%d records are left, want %d", len(got), len(all)))
			}
			return errors.Join(err, tx.Drop())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// owners: in order, page by page, without the domain, those without records, and other collections'.
func owners(ctx context.Context, s store.Store) error {
	var want []string
	for i := range 600 {
		name := fmt.Sprintf("u%03d", i)
		want = append(want, name)
		if err := put(ctx, s, name, "c", rec{"k", ""}, rec{"l", ""}); err != nil {
			return err
		}
	}
	err := errors.Join(put(ctx, s, "", "c", rec{}), put(ctx, s, "other", "d", rec{}), put(ctx, s, "u100x", "c", rec{}),
		s.Update(ctx, "u100x", func(tx store.Tx) error { return tx.Drop() }))
	if err != nil {
		return err
	}
	for _, c := range []struct {
		after string
		from  int
	}{{"", 0}, {"u", 0}, {"u000", 1}, {"u299", 300}, {"u2990", 300}, {"u599", 600}, {"v", 600}} {
		var got []string
		var bad error
		err := s.Owners(ctx, "c", c.after, func(o string) bool {
			got = append(got, o)
			bad = s.View(ctx, o, func(r store.Reader) error { return has(r, "c", []byte("k"), nil) })
			return bad == nil
		})
		if err != nil || bad != nil || !slices.Equal(got, want[c.from:]) {
			return fmt.Errorf("behind %q: %d owners, want %d: %w", c.after, len(got), len(want)-c.from, orNone(errors.Join(err, bad)))
		}
	}
	n := 0
	err = s.Owners(ctx, "c", "", func(string) bool { n++; return n < 3 })
	if n != 3 {
		err = errors.Join(err, fmt.Errorf("%d owners came, 3 were asked for", n))
	}
	none := s.Owners(ctx, "none", "", func(o string) bool { err = fmt.Errorf("%q is no owner in an empty collection", o); return true })
	return errors.Join(none, err)
}
