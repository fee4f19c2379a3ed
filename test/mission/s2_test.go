package mission

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkMembership: a node that is started announces that it waits; when it has
// joined, all announce the same ring and it has its share; a full disk shows as
// do-not-disturb, and a node that has left as such.
func checkMembership(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, Partitions: 16})
	r := ringctl{t, c}
	n, err := c.Add(t.Context(), "dn4")
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("it waits to join", func(by map[string]statusRow) bool {
		return by["dn4"].State == "joining" && by["dn4"].Presence == "xa" && by["dn4"].Member == 0
	})
	r.must("join", "--yes", "--wait", "dn4")
	r.eventually("all have the same ring, and the newcomer its share", func(by map[string]statusRow) bool {
		for _, row := range by {
			if row.Presence != "available" || row.Epoch != by["dn4"].Epoch {
				return false
			}
		}
		return by["dn4"].Member == 4 && by["dn4"].Held == 12 && by["dn4"].Led == 4 // of 48 and of 16
	})

	// Its disk is full: started again with more to keep free than there is.
	kill(t, c, "dn4")
	full := startFull(t, c, *n)
	r.eventually("the full disk shows as dnd", func(by map[string]statusRow) bool {
		return by["dn4"].Presence == "dnd" && by["dn4"].State == "full"
	})
	if err := full.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := full.Wait(); err != nil {
		t.Fatalf("the node with the full disk: %v", err)
	}
	restart(t, c, "dn4")

	r.must("leave", "--yes", "--wait", "dn4")
	r.eventually("who has left is there and no member", func(by map[string]statusRow) bool {
		return by["dn4"].Member == 0 && by["dn4"].Presence == "xa" && by["dn1"].Held == 16
	})
	harness.Eventually(t, time.Minute, "the store is healthy without it", func() bool { code, _ := r.run("status"); return code == 0 })
}

type statusRow struct {
	Node, Presence, State string
	Member, Epoch         uint64
	Led, Held             int
}

// eventually waits until `ringctl status` shows something.
func (r ringctl) eventually(what string, holds func(map[string]statusRow) bool) {
	r.t.Helper()
	harness.Eventually(r.t, time.Minute, what, func() bool {
		_, out := r.run("status", "-o", "json")
		var s struct{ Nodes []statusRow }
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			r.t.Fatalf("status: %v in %s", err, out)
		}
		by := make(map[string]statusRow)
		for _, row := range s.Nodes {
			by[row.Node] = row
		}
		return holds(by)
	})
}

// startFull runs a data node of the cluster that is to keep more free than any
// disk has.
func startFull(t *testing.T, c *devcluster.Cluster, n devcluster.Node) *exec.Cmd {
	t.Helper()
	info := c.Info()
	args := []string{
		"datanode", "run", "--dir", n.Data, "--jid", bare(n.JID), "--addr", info.Servers[0].C2S, "--ca", info.CA,
		"--password-file", filepath.Join(filepath.Dir(c.File()), "secrets", n.ID+".password"),
		"--operator", info.Accounts["operator"].JID, "--app", info.Accounts["app"].JID,
		"--disk-reserve", "1000000TiB",
	}
	cmd := exec.Command(binary, args...)
	log, err := os.CreateTemp(t.TempDir(), "full")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the child has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // when it was not stopped below
	return cmd
}
