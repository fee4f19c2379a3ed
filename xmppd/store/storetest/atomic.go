package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// mess changes everything that a store of a few records has.
func mess(tx store.Tx) error {
	n, err := tx.DeleteRange("c", store.Range{From: []byte("b"), To: []byte("d")})
	if n != 2 {
		err = errors.Join(err, fmt.Errorf("deleted %d records of 2", n))
	}
	return errors.Join(err, tx.Put("c", []byte("a"), []byte("changed")), tx.Put("c", []byte("a"), []byte("again")), tx.Put("c", []byte("b"), nil),
		tx.Delete("c", []byte("a")), tx.Put("new", nil, []byte("x")), tx.Drop(), tx.Put("c", []byte("z"), nil))
}

// atomic: an update that fails leaves nothing, whatever it did, and its error comes out unchanged.
func atomic(ctx context.Context, s store.Store) error {
	want := []rec{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}
	if err := errors.Join(put(ctx, s, "o", "c", want...), put(ctx, s, "o", "d", want...)); err != nil {
		return err
	}
	mine := errors.New("mine")
	for range 2 {
		err := s.Update(ctx, "o", func(tx store.Tx) error { return errors.Join(mess(tx), mine) })
		if err := is("failed update", err, mine); err != nil {
			return err
		}
		if err := errors.Join(holds(ctx, s, "o", "c", want...), holds(ctx, s, "o", "d", want...), holds(ctx, s, "o", "new")); err != nil {
			return fmt.Errorf("after a failed update: %w", err)
		}
	}
	if err := s.Update(ctx, "o", func(store.Tx) error { return mine }); err != mine { //nolint:errorlint // as it is, the interface says
		return fmt.Errorf("the error came out as %w", orNone(err))
	}
	if err := s.View(ctx, "o", func(store.Reader) error { return mine }); err != mine { //nolint:errorlint // as it is, the interface says
		return fmt.Errorf("the error came out as %w", orNone(err))
	}
	return errors.Join(s.Update(ctx, "o", mess), holds(ctx, s, "o", "c", rec{key: "z"}), holds(ctx, s, "o", "d"), holds(ctx, s, "o", "new"))
}

// panics: a panic ends the caller as if nobody were in between, and changes nothing.
func panics(ctx context.Context, s store.Store) error {
	if err := put(ctx, s, "o", "c", rec{"k", "v"}); err != nil {
		return err
	}
	var got any
	func() {
		defer func() { got = recover() }()
		_ = s.Update(ctx, "o", func(tx store.Tx) error {
			if err := tx.Drop(); err != nil {
				return err
			}
			panic("a bug")
		})
	}()
	if got != "a bug" {
		return fmt.Errorf("the caller's panic is %v", got)
	}
	return errors.Join(holds(ctx, s, "o", "c", rec{"k", "v"}), put(ctx, s, "o", "d", rec{}))
}

func cancelled(ctx context.Context, s store.Store) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := put(ctx, s, "o", "c", rec{"k", "v"}); err != nil {
		return err
	}
	seen := 0
	err := s.Owners(ctx, "c", "", func(string) bool { seen++; cancel(); return true })
	if seen != 1 {
		err = errors.Join(err, fmt.Errorf("%d owners, want 1", seen))
	} else if errors.Is(err, context.Canceled) {
		err = nil // it may notice
	}
	ran := false
	run := func() bool { ran = true; return true }
	errs := []error{
		err,
		is("view", s.View(ctx, "o", func(store.Reader) error { run(); return nil }), context.Canceled),
		is("update", s.Update(ctx, "o", func(store.Tx) error { run(); return nil }), context.Canceled),
		is("owners", s.Owners(ctx, "c", "", func(string) bool { return run() }), context.Canceled),
	}
	if ran {
		errs = append(errs, errors.New("a function ran though the context had ended"))
	}
	return errors.Join(errs...)
}

// cancelledInFlight: an update that says so has changed nothing, one that says nil is there.
func cancelledInFlight(ctx context.Context, s store.Store) error {
	const n = 200
	var wg sync.WaitGroup
	var errs [n]error
	for i := range n {
		ctx, cancel := context.WithCancel(ctx)
		wg.Go(func() { errs[i] = put(ctx, s, fmt.Sprintf("o%d", i), "c", rec{"k", "v"}) })
		wg.Go(cancel)
	}
	wg.Wait()
	for i, err := range errs {
		want := []rec{{"k", "v"}}
		if err != nil {
			want = nil
		}
		if err := holds(ctx, s, fmt.Sprintf("o%d", i), "c", want...); err != nil {
			return fmt.Errorf("update ended with %w: %w", orNone(errs[i]), err)
		}
	}
	return nil
}
