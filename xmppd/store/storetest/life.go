package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// durable: what was acknowledged, and nothing else, is there when the data is opened again.
func durable(ctx context.Context, open func() store.Store) error {
	s := open()
	secret, domain := bytes.Clone(s.Secret()), s.Domain()
	if len(secret) != 32 || domain == "" {
		return fmt.Errorf("secret of %d bytes, domain %q", len(secret), domain)
	}
	mine := errors.New("mine")
	var want []rec
	for round := range 3 {
		r := rec{fmt.Sprint("k", round), fmt.Sprint("v", round)}
		want = append(want, r)
		err := s.Update(ctx, "o", func(tx store.Tx) error { return errors.Join(tx.Drop(), mine) })
		err = errors.Join(is("failing update", err, mine), put(ctx, s, "o", "c", r, rec{"x", ""}), s.Update(ctx, "o", func(tx store.Tx) error {
			return tx.Delete("c", []byte("x"))
		}), s.Close())
		if err != nil {
			return err
		}
		s = open()
		if err := holds(ctx, s, "o", "c", want...); err != nil {
			return fmt.Errorf("opened again: %w", err)
		}
		if !bytes.Equal(s.Secret(), secret) || s.Domain() != domain {
			return errors.New("secret or domain have changed")
		}
	}
	return s.Close()
}

// closing: Close loses nothing that was acknowledged; then the store refuses everything. Where it does not wait as long as an
// update takes, as for servers that are slow, that may be there or not, and says so.
func closing(ctx context.Context, open func() store.Store) error {
	const writers = 32
	s := open()
	var wg sync.WaitGroup
	var acked, lost [writers][]rec
	var errs [writers]error
	owner := func(w int) string { return fmt.Sprint("o", w) }
	running := make(chan struct{}, writers)
	for w := range writers {
		wg.Go(func() {
			for i := 0; errs[w] == nil; i++ {
				r := rec{fmt.Sprintf("%06d", i), "v"}
				if errs[w] = put(ctx, s, owner(w), "c", r); errs[w] != nil {
					lost[w] = append(lost[w], r)
					break
				}
				if acked[w] = append(acked[w], r); i == 0 {
					running <- struct{}{}
				}
			}
		})
	}
	for range writers {
		<-running
	}
	err := s.Close()
	wg.Wait()
	if err := errors.Join(err, s.Close()); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	nop := func(store.Reader) error { return nil }
	err = errors.Join(is("view", s.View(ctx, "o", nop), store.ErrClosed), is("update", put(ctx, s, "o", "c", rec{}), store.ErrClosed),
		is("owners", s.Owners(ctx, "c", "", func(string) bool { return true }), store.ErrClosed))
	if err != nil {
		return fmt.Errorf("closed store: %w", err)
	}
	s = open()
	for w := range writers {
		want, there := store.ErrClosed, acked[w]
		if errors.Is(errs[w], store.ErrUncertain) {
			got, err := dump(ctx, s, owner(w), "c")
			if err != nil {
				return err
			}
			if want = store.ErrUncertain; len(got) > len(there) {
				there = append(there, lost[w]...)
			}
		}
		if err := errors.Join(is("update while closing", errs[w], want), holds(ctx, s, owner(w), "c", there...)); err != nil {
			return fmt.Errorf("%w; refused: %v", err, lost[w])
		}
	}
	return s.Close()
}
