package appclient_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// TestNoErrorsDuringMoves: partitions move again and again, nodes go and come,
// leaders change; whoever writes, reads, counts and scans meanwhile sees no error,
// and nothing is lost or doubled.
func TestNoErrorsDuringMoves(t *testing.T) {
	cl := cluster(t, appclienttest.Options{Nodes: 5, Partitions: 8})
	c := dial(t, cl, quick)
	var stop atomic.Bool
	var done, counted atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			r := c.Root(fmt.Sprint("m/", i))
			for n := 0; !stop.Load(); n++ {
				if _, err := r.Put(deadline(t), fmt.Sprint(n%10), nil); err != nil {
					t.Error(err)
					return
				}
				if _, err := r.Get(deadline(t), fmt.Sprint(n%10), appclient.Stale(0)); err != nil {
					t.Error(err)
					return
				}
				if _, err := c.Root("m/count").Increment(deadline(t), "", 1); err != nil {
					t.Error(err)
					return
				}
				counted.Add(1)
				for _, err := range c.Roots(deadline(t), appclient.ScanOptions{Prefix: "m/"}) {
					if err != nil {
						t.Error(err)
						return
					}
				}
				done.Add(1)
			}
		})
	}
	for n := range 12 {
		have := done.Load()
		until(t, "more rounds", func() bool { return done.Load() >= have+8 || t.Failed() })
		switch n % 4 {
		case 0:
			cl.Move()
		case 1:
			cl.SetOnline(n%5, false)
		case 2:
			cl.SetOnline((n-1)%5, true)
		case 3:
			cl.Lead(n % 3)
		}
	}
	stop.Store(true)
	wg.Wait()
	if v, err := c.Root("m/count").Increment(deadline(t), "", 0); err != nil || v != counted.Load() {
		t.Errorf("counted %d of %d, %v", v, counted.Load(), err)
	}
}
