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

// openWhole opens a cluster in a directory; what is done is done at server `at`.
func openWhole(t *testing.T, dir string, servers, at int) store.Store {
	c := newCluster(t, dir, nil)
	c.found(servers)
	return whole{c.store(at), c}
}

func TestSuite(t *testing.T) {
	for _, c := range []struct{ servers, at int }{{1, 1}, {3, 2}, {5, 4}} {
		for _, property := range storetest.Cases() {
			t.Run(fmt.Sprintf("%d/%s", c.servers, property.Name), func(t *testing.T) {
				t.Parallel() // most of the time is spent on waiting for disks
				dir := memory(t)
				if err := property.Run(t.Context(), func() store.Store { return openWhole(t, dir, c.servers, c.at) }); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
