package replication

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/ring"
)

// snapshotTakes tells how many bytes of snapshots a follower that was away is sent, and
// how long that takes; in a bubble of synctest, so that nothing but waiting takes time.
func snapshotTakes(t *testing.T, rate, changeRate int64, faults core.Faults) (bytes int64, took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3, 1, func(cfg *Config) {
			cfg.SnapshotRate, cfg.Faults, cfg.ScrubEvery = rate, faults, -1
		})
		s := c.session(0)
		c.stop(2)
		for i := range 2 {
			c.node(i).PeerDown(3) // so that no log is kept for it
		}
		for i := range uint64(24) {
			if r := c.write(0, put(s, i+1, "root", fmt.Sprint("p", i), strings.Repeat("v", 128<<10))); r.Code != op.OK {
				t.Fatalf("write: %+v", r)
			}
		}
		if changeRate > 0 {
			for i := range 2 {
				doc := *c.doc
				doc.Change = &ring.Change{Rate: changeRate, Paused: true}
				c.node(i).known.Store(&doc)
			}
		}
		sent := func() uint64 { return c.node(0).Status().SnapshotBytes + c.node(1).Status().SnapshotBytes }
		before, began := sent(), time.Now()
		c.start(2)
		want, _ := c.node(0).part(0).Applied()
		for at := uint64(0); at < want; at, _ = c.node(2).part(0).Applied() {
			time.Sleep(20 * time.Millisecond) // the bubble's clock
		}
		bytes, took = int64(sent()-before), time.Since(began)
	})
	return bytes, took
}

// TestSnapshotsKeepToTheirRate: what is sent of snapshots takes the time that it must at
// the node's rate, and at the rate of a running change, which goes before. The planted
// mistake sends as fast as it can.
func TestSnapshotsKeepToTheirRate(t *testing.T) {
	const low, high = 1 << 20, 1 << 30
	for name, tc := range map[string]struct {
		rate, change int64
		faults       core.Faults
		slow         bool
	}{
		"the node's":             {low, 0, core.Faults{}, true},
		"the change's":           {high, low, core.Faults{}, true},
		"the change's is higher": {low, high, core.Faults{}, false},
		"planted: unpaced":       {low, 0, core.Faults{Unpaced: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bytes, took := snapshotTakes(t, tc.rate, tc.change, tc.faults)
			if bytes < 24*128<<10 {
				t.Fatalf("%d bytes of snapshots were sent: fewer than there are in the state", bytes)
			}
			least := time.Duration(float64(bytes)/low*float64(time.Second)) - snapshotBurst
			if slow := took >= least; slow != tc.slow {
				t.Errorf("%d bytes in %v; at 1 MiB a second they take %v", bytes, took, least)
			}
		})
	}
}
