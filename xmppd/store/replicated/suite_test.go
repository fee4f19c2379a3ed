package replicated

import (
	"fmt"
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
					open := func() store.Store { return storetest.Lend(c.store(n.at)) }
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
