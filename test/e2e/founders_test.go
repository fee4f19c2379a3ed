package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

// TestTwoFounders: two servers are told to found a cluster, and the second can't reach the first when it does. When they meet
// they refuse each other and say what to do; with that done there is one cluster, with what the first one had.
func TestTwoFounders(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 1, Founders: true, Users: []string{"alice"}})
	x1 := sv.All[0]
	x1.Stop(t)
	x2 := sv.Add()
	x1.Restart(t)
	const advice = "stop the one that was not meant to be, move its data directory away and start it again with cluster.join"
	harness.Eventually(t, time.Minute, "one of them says what to do", func() bool { return strings.Contains(x1.Log()+x2.Log(), advice) })
	for _, m := range sv.All {
		if n := m.Metric(t, "xmppd_cluster_link_up"); n != 0 {
			t.Errorf("%s is connected to %v others", m.Name, n)
		}
	}
	x1.Login(t, "alice", "a").Sync() // each goes on by itself

	x2.Stop(t)
	if err := os.Rename(x2.Data, x2.Data+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(x2.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	x2.Restart(t)
	sv.Whole()
	sv.Replicated()
	x2.Login(t, "alice", "b").Sync()
}
