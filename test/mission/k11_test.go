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
		step()
	}
	bob.checkLedger(n)
}
