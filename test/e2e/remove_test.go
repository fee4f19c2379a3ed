package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// TestRemoveServer: of three servers one dies; the status tells what is missing, and after its removal that nothing is.
// With its old data it is refused, and the others go on.
func TestRemoveServer(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Users: []string{"alice"}})
	x1, dead, x3 := sv.All[0], sv.All[1], sv.All[2]
	dead.Kill(t)
	x1.Sees(t, 1)
	x3.Sees(t, 1)
	says := func(want string, args ...string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), binary, append([]string{"xmppd", "cluster"}, args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v, and no %q in\n%s", args, err, want, out)
		}
	}
	says("64 partitions lack a copy: x2 can't be reached", "status", "--data", x1.Data)
	says("x2 has left the cluster", "remove", "--data", x1.Data, "x2")
	sv.Replicated()
	says("64 partitions, 2 copies of each\n         all copies are there", "status", "--data", x3.Data)
	if log := dead.Refused(t); !strings.Contains(log, "it needs an empty directory") {
		t.Errorf("with its old data it says\n%s", log)
	}
	sv.Replicated()
	x3.Online(t, "alice", "a").Sync()
}
