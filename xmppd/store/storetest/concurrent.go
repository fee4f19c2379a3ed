package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// increment adds one to a counter that is kept twice.
func increment(tx store.Tx) error {
	n := 0
	if v, err := tx.Get("c", []byte("n")); err == nil {
		if n, err = strconv.Atoi(string(v)); err != nil {
			return err
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	v := []byte(strconv.Itoa(n + 1))
	return errors.Join(tx.Put("c", []byte("n"), v), tx.Put("d", []byte("copy"), v))
}

// count does `each` increments in each of `writers` goroutines, and as many that fail.
func count(ctx context.Context, s store.Store, writers, each int, owner func(int) string) error {
	var wg sync.WaitGroup
	errs := make([]error, writers)
	mine := errors.New("mine")
	for w := range writers {
		wg.Go(func() {
			for range each {
				errs[w] = errors.Join(errs[w], s.Update(ctx, owner(w), increment))
				err := s.Update(ctx, owner(w), func(tx store.Tx) error { return errors.Join(increment(tx), tx.Put("junk", nil, nil), mine) })
				errs[w] = errors.Join(errs[w], is("failing update", err, mine))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func counted(ctx context.Context, s store.Store, owner string, n int) error {
	v := strconv.Itoa(n)
	return errors.Join(holds(ctx, s, owner, "c", rec{"n", v}), holds(ctx, s, owner, "d", rec{"copy", v}), holds(ctx, s, owner, "junk"))
}

// oneOwner: updates of one owner come one after another.
func oneOwner(ctx context.Context, s store.Store) error {
	const writers, each = 16, 20
	return errors.Join(count(ctx, s, writers, each, func(int) string { return "o" }), counted(ctx, s, "o", writers*each))
}

// manyOwners: what fails for one is nothing to the others, also if they are committed together.
func manyOwners(ctx context.Context, s store.Store) error {
	const writers, each = 32, 10
	owner := func(w int) string { return fmt.Sprintf("o%d", w) }
	if err := count(ctx, s, writers, each, owner); err != nil {
		return err
	}
	for w := range writers {
		if err := counted(ctx, s, owner(w), each); err != nil {
			return err
		}
	}
	return nil
}

// consistent: a view sees all of an update or nothing of it, and no update that comes later.
func consistent(ctx context.Context, s store.Store) error {
	const updates = 150
	if err := s.Update(ctx, "o", increment); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var writeErr error
	errs := make([]error, 4)
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for range updates {
			writeErr = errors.Join(writeErr, s.Update(ctx, "o", increment))
		}
	})
	for i := range errs {
		wg.Go(func() {
			for last, running := "", true; running && errs[i] == nil; {
				select {
				case <-done:
					running = false
				default:
				}
				errs[i] = s.View(ctx, "o", func(r store.Reader) error {
					n, err := r.Get("c", []byte("n"))
					again, err2 := scan(r, "c", store.Range{})
					if err := errors.Join(err, err2, has(r, "d", []byte("copy"), n), same("second look", again, []rec{{"n", string(n)}})); err != nil {
						return err
					}
					if len(n) < len(last) || len(n) == len(last) && string(n) < last {
						return fmt.Errorf("a view went back from %s to %s", last, n)
					}
					last = string(n)
					return nil
				})
			}
		})
	}
	wg.Wait()
	return errors.Join(writeErr, errors.Join(errs...), counted(ctx, s, "o", updates+1))
}
