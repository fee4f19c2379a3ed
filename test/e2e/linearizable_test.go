package e2e

import (
	"context"
	"sync"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/linearizability"
)

const (
	historyClients = 6
	historyRoots   = 12
	historyKills   = 3
	// historyPerKill operations end between one fault and the next.
	historyPerKill = 300
)

// TestLinearizableUnderKills: what concurrent clients see of a cluster of
// processes whose data nodes and XMPP servers are killed (SIGKILL) and started again, one
// after the other, has an order in which a single-threaded store answers the same.
func TestLinearizableUnderKills(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, Nodes: 3})
	h := linearizability.NewRecorder(historyRoots)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var clients []*appclient.Client
	for id := range historyClients {
		client := harness.Dial(t, c, nil)
		clients = append(clients, client)
		wg.Go(func() { h.Run(ctx, id, client) })
	}
	for i := range historyKills {
		for j, id := range []string{c.Info().Nodes[i].ID, c.Info().Servers[i].ID} {
			h.Await(t, (4*i+2*j+1)*historyPerKill)
			if err := c.Kill(id); err != nil {
				t.Fatal(err)
			}
			h.Await(t, (4*i+2*j+2)*historyPerKill)
			if err := c.Restart(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if err := c.WaitHealthy(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.Await(t, (4*historyKills+1)*historyPerKill)
	stop()
	wg.Wait()
	h.Check(t)
	// Reads that clients confirm are part of what was judged.
	confirmed := uint64(0)
	for _, client := range clients {
		confirmed += client.Stats().Confirmed
	}
	if confirmed == 0 {
		t.Error("no read was confirmed by its client")
	}
}
