package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// TestOneDiskFull: callers see nothing of one node's full disk. It hands its
// leaderships over, and gets them back when there is room.
func TestOneDiskFull(t *testing.T) {
	c := newCluster(t, 3)
	var free atomic.Uint64
	free.Store(10 << 30)
	c.stop(0)
	c.nodes[0].free = func(string) (uint64, uint64, error) { return free.Load(), 100 << 30, nil }
	c.start(0)
	c.awaitOnline()
	c.bootstrap()
	c.awaitLed()
	c.eventually("the node leads", func() bool { return c.view(0).Health.Led > 0 })

	login := c.srv.login("app")
	app, err := appclient.Dial(t.Context(), appclient.Config{
		JID: login.JID, Password: login.Password, Addrs: login.Addrs, InsecurePlaintext: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close() //nolint:errcheck // never fails
	var written atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop()
	for i := range 2 * testPartitions {
		writers.Go(func() {
			root := app.Root(fmt.Sprint("root", i))
			for ctx.Err() == nil {
				if _, err := root.Put(ctx, "p", []byte("v")); err != nil && ctx.Err() == nil {
					t.Errorf("a write while one of three disks is full: %v", err)
					return
				}
				written.Add(1)
			}
		})
	}
	more := func(what string) {
		t.Helper()
		before := written.Load()
		c.eventually(what, func() bool { return written.Load() > before+500 || t.Failed() })
	}
	more("writes")
	free.Store(100 << 20)
	c.eventually("the full node leads nothing", func() bool {
		v := c.view(0)
		return v.Health.State == wire.StateFull && v.Health.Led == 0
	})
	more("writes while one disk is full")
	free.Store(10 << 30)
	c.eventually("the node leads again", func() bool {
		v := c.view(0)
		return v.Health.State == wire.StateOK && v.Health.Led > 0
	})
	more("writes when there is room again")
}
