package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// TestDevOfStopped: what wants a cluster that runs says at once how to start it, and
// changes nothing.
func TestDevOfStopped(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, devcluster.InfoFile)
	before, err := json.Marshal(devcluster.Info{
		Domain: "localhost", Servers: []devcluster.Server{{ID: "x1"}}, Nodes: []devcluster.Node{{ID: "dn1", JID: "dn1@localhost/store"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, before, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"add", "dn2"}, {"remove", "dn1"}, {"restart", "dn1"}} {
		env, _, errs := testEnv()
		code := Run(t.Context(), env, []string{"ringctl", "dev", args[0], "--dir", dir, args[1]})
		if code != ExitFailed || !strings.Contains(errs.String(), "the cluster is stopped: `ringctl dev up --dir "+dir+"` first") {
			t.Errorf("dev %s: code %d: %s", args[0], code, errs)
		}
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("described as %s now: %v", after, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

// TestOffline: only presence tells that a node is to be started.
func TestOffline(t *testing.T) {
	views := []admin.NodeView{{JID: "dn1@d/store"}, {JID: "dn2@d/store", Online: true}}
	for jid, want := range map[string]bool{"dn1@d/store": true, "dn2@d/store": false, "dn3@d/store": false} {
		if got := offline(views, jid); got != want {
			t.Errorf("%s is offline: %v", jid, got)
		}
	}
}
