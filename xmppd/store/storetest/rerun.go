package storetest

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Rerun wraps a store so that the function of each Update runs twice, the first time in vain: what
// it hands out must be right all the same. Tests of layers run on it.
func Rerun(s store.Store) store.Store { return rerun{s} }

type rerun struct{ store.Store }

func (r rerun) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	again := errors.New("run again")
	err := r.Store.Update(ctx, owner, func(tx store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return again
	})
	if !errors.Is(err, again) {
		return err
	}
	return r.Store.Update(ctx, owner, f)
}
