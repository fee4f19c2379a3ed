package storetest

import (
	"context"
	"errors"
	"sync"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// lent is what Lend returns.
type lent struct {
	store.Store
	mu     sync.Mutex
	owners map[string]bool
}

// Lend makes a store that goes on longer than a case fit for one: Close takes away what the case has left in it, and
// does not close it.
func Lend(s store.Store) store.Store { return &lent{Store: s, owners: make(map[string]bool)} }

func (l *lent) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	l.mu.Lock()
	l.owners[owner] = true
	l.mu.Unlock()
	return l.Store.Update(ctx, owner, f) //nolint:wrapcheck // it is the store
}

func (l *lent) Close() (err error) {
	for owner := range l.owners {
		if store.CheckOwner(owner) == nil {
			err = errors.Join(err, l.Store.Update(context.Background(), owner, func(tx store.Tx) error { return tx.Drop() }))
		}
	}
	return err
}
