package replicated

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

// whole is a cluster that is opened and closed like one store.
type whole struct {
	store.Store
	c *cluster
}

func (w whole) Close() error {
	err := w.Store.Close() // while the others are there
	w.c.close()
	return err
}

// lent is a store of a cluster that lives longer than a case: Close takes away what the case has left.
type lent struct {
	store.Store
	mu     sync.Mutex
	owners map[string]bool
}

func lend(s store.Store) *lent { return &lent{Store: s, owners: make(map[string]bool)} }

func (l *lent) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	l.mu.Lock()
	l.owners[owner] = true
	l.mu.Unlock()
	return l.Store.Update(ctx, owner, f)
}

func (l *lent) Close() (err error) {
	for owner := range l.owners {
		if store.CheckOwner(owner) == nil {
			err = errors.Join(err, l.Store.Update(context.Background(), owner, func(tx store.Tx) error { return tx.Drop() }))
		}
	}
	return err
}

// opensAgain tells whether a case opens its data more than once.
func opensAgain(c storetest.Case) bool { return c.Name == "Durable" || c.Name == "Close" }

// TestSuite: what every store has to do holds on clusters of one, three and five servers.
func TestSuite(t *testing.T) {
	for _, n := range []struct{ servers, at int }{{1, 1}, {3, 2}, {5, 4}} {
		t.Run(fmt.Sprint(n.servers), func(t *testing.T) {
			c := newCluster(t, memory(t), nil)
			defer c.close()
			c.found(n.servers)
			for _, property := range storetest.Cases() {
				t.Run(property.Name, func(t *testing.T) {
					open := func() store.Store { return lend(c.store(n.at)) }
					if opensAgain(property) {
						dir := memory(t)
						open = func() store.Store {
							own := newCluster(t, dir, nil)
							own.found(n.servers)
							return whole{own.store(n.at), own}
						}
					}
					if err := property.Run(t.Context(), open); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
