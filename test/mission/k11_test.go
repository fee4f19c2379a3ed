package mission

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// checkRollingUpgrade: each server in turn is drained, stopped and started again while two clients talk: every
// message comes once.
func checkRollingUpgrade(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Users: []string{"alice", "bob"}})
	alice, bob := newRoamer(t, sv.All[1], "alice"), newRoamer(t, sv.All[0], "bob")
	n := 0
	for k, m := range sv.All {
		next := sv.All[(k+1)%len(sv.All)]
		step := func() { // one message, and whoever has lost the connection comes back
			alice.say("bob", fmt.Sprint(n))
			n++
			for _, r := range []*roamer{alice, bob} {
				if !r.ear.Ended() {
					continue
				}
				if got := r.resume(next); !strings.Contains(got, "<resumed ") {
					t.Fatalf("%s at %s: %s", r.user, next.Name, got)
				}
			}
		}
		drained := make(chan error, 1)
		go func() {
			out, err := exec.CommandContext(t.Context(), binary, "xmppd", "cluster", "drain", "--data", m.Data).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("drain %s: %w: %s", m.Name, err, out)
			}
			drained <- err
		}()
		var err error
		harness.Eventually(t, 2*xmppraw.Patience, m.Name+" is drained", func() bool {
			step()
			select {
			case err = <-drained:
				return true
			default:
				return false
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		step()
		m.Stop(t)
		step()
		m.Restart(t)
		sv.Whole()
		sv.Replicated() // as docs/xmppd.md says how to upgrade
		step()
	}
	t.Logf("%d messages; %v were kept for a moment at the servers that are there now", n, sv.Sum("xmppd_offline_stored_total"))
	bob.checkLedger(n)
	nowhereToGo(t, sv)
}

// nowhereToGo drains two of three servers: the third one can't be, until one of them takes clients again.
func nowhereToGo(t *testing.T, sv *harness.Servers) {
	t.Helper()
	x1, x3 := sv.All[0], sv.All[2]
	clusterSays(t, x1, 0, "x1 is drained: stop it when you like", "drain")
	clusterSays(t, x1, 0, `"state":"drained"`, "drain", "-o", "json", "x2")
	clusterSays(t, x1, 1, "there is no other server", "drain", "x3")
	clusterSays(t, x1, 0, "x1 takes clients again", "drain", "--cancel")
	x1.Online(t, "alice", "back").Sync()
	clusterSays(t, x1, 0, `"state":"up"`, "drain", "-o", "json", "--cancel", "x2")
	clusterSays(t, x3, 0, "x3 is drained: stop it when you like", "drain")
}

// clusterSays runs a command of `xmppd cluster` at a server, and checks its exit code and what it says.
func clusterSays(t *testing.T, m *harness.Member, code int, want string, args ...string) {
	t.Helper()
	args = append([]string{"xmppd", "cluster", args[0], "--data", m.Data}, args[1:]...)
	cmd := exec.CommandContext(t.Context(), binary, args...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), want) {
		t.Fatalf("%v: exit code %d, not %d, %v, and %q is to be in\n%s", args, got, code, err, want, out)
	}
}
