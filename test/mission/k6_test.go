package mission

import (
	"flag"
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

var (
	most     = flag.Int("servers", 5, "row K6: servers of the largest cluster")
	together = flag.Int("at-once", 9, "row K6: servers that are started at once")
	joins    = flag.Int("joins", 3, "row K6: times that a server leaves and comes back")
)

// checkJoining: servers find each other by the DNS name of one of them, clusters of one and more; a server that is
// started again, and knows nothing, is told all; joins and leaves leave exact counts. All of them started at once are one cluster, too.
func checkJoining(t *testing.T) {
	t.Run("in turn", joinInTurn)
	t.Run("at once", joinAtOnce)
}

func joinAtOnce(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: *together, Users: []string{"alice", "bob"}})
	for i, m := range sv.All {
		alice, bob := m.Online(t, "alice", fmt.Sprint("a", i)), sv.All[(i+1)%len(sv.All)].Online(t, "bob", fmt.Sprint("b", i))
		talk(alice, bob, "to", 1)
		talk(bob, alice, "from", 1)
	}
	sv.Quiet()
	if n := sv.Sum("xmppd_sessions"); n != float64(2*len(sv.All)) {
		t.Errorf("%v sessions, not %d", n, 2*len(sv.All))
	}
}

func joinInTurn(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 1, Named: true, Users: []string{"alice", "bob"}})
	alice := sv.All[0].Online(t, "alice", "a")
	meet := func(m *harness.Member, word string) {
		t.Helper()
		bob := m.Online(t, "bob", "b")
		talk(alice, bob, word+" to", 1)
		talk(bob, alice, word+" from", 1)
		bob.Send("</stream:stream>")
		bob.End()
	}
	meet(sv.All[0], "alone")
	for size := 2; size <= *most; size++ {
		m := sv.Add()
		sv.Whole()
		meet(m, fmt.Sprint("of ", size))
	}
	sv.Replicated()
	for i := range *joins {
		m := sv.All[1+i%(len(sv.All)-1)]
		if i%2 == 0 {
			m.Stop(t)
		} else {
			m.Kill(t)
		}
		sv.Whole()
		m.Restart(t)
		sv.Whole()
		sv.Replicated()
		meet(m, fmt.Sprint("again ", i))
	}
	sv.Quiet()
	if own, share := sv.Sum(`xmppd_cluster_directory_accounts{kind="own"}`), sv.Sum(`xmppd_cluster_directory_accounts{kind="share"}`); own != 1 || share != 2 {
		t.Errorf("of one account with a session the servers count %v, and in the directory %v, not 2", own, share)
	}
	if n := sv.Sum("xmppd_sessions"); n != 1 {
		t.Errorf("%v sessions, not 1", n)
	}
}
