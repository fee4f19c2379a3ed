package devcluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// served is a cluster of one fake server that runs, and no data nodes.
func served(t *testing.T) *Cluster {
	t.Helper()
	o, err := Options{Dir: filepath.Join(t.TempDir(), "c"), InsecurePlaintext: true}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{opts: o, files: layout(o.Dir), spawn: newSpawner(), procs: make(map[string]*process)}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	c.info = Info{
		Domain: o.Domain, InsecurePlaintext: true, Servers: []Server{{ID: "x1"}},
		Accounts: map[string]Account{operatorAccount: {JID: "operator@localhost", Password: "x"}},
	}
	if err := c.files.make(); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockDir(c.files)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for attempt := 1; ; attempt++ { // ports, as in start
		err := c.startServers(t.Context())
		if err == nil {
			break
		}
		if !errors.Is(err, errPortTaken) || attempt == startAttempts {
			t.Fatal(err)
		}
	}
	if err := c.record(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAddUndone: a data node that ends at once, or that does not come up until the caller
// has enough, is stopped (goleak looks for who waits for it) and recorded nowhere.
func TestAddUndone(t *testing.T) {
	c := served(t)
	for _, id := range []string{"dn1", "hangs"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if id == "hangs" {
			go func() {
				defer cancel() // it runs
				_ = poll(ctx, pollEvery, func() (bool, error) {
					_, err := os.Stat(c.files.data(id))
					return err == nil, nil
				})
			}()
		}
		n, err := c.Add(ctx, id)
		if err == nil || n != nil || !strings.Contains(err.Error(), id+" is not added") || strings.Contains(err.Error(), "removed again") {
			t.Errorf("%s: %v, %v", id, n, err)
		}
		if p := c.procs[id]; p != nil {
			t.Errorf("process %d of %s was left behind", p.pid, id)
		}
		info, err := Load(c.files.info())
		if err != nil || len(info.Nodes) != 0 || len(c.info.Nodes) != 0 {
			t.Errorf("%s: described as %v, %v: %v", id, info, c.info.Nodes, err)
		}
		if pids, err := readPIDs(c.files); err != nil || len(pids) != 1 || pids[0] != c.info.Servers[0].PID {
			t.Errorf("%s: processes %v are recorded: %v", id, pids, err)
		}
		if _, err := os.Stat(c.files.data(id)); err == nil {
			t.Errorf("%s has left its data", id)
		}
	}
	// A disk that somebody has put back is theirs.
	if err := os.MkdirAll(c.files.data("dn1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Add(t.Context(), "dn1"); err == nil {
		t.Error("added")
	}
	if _, err := os.Stat(c.files.data("dn1")); err != nil {
		t.Error(err)
	}
}

func TestServed(t *testing.T) {
	c := served(t)
	if err := c.Served(); err != nil {
		t.Error(err)
	}
	p := c.procs["x1"]
	c.info.Nodes = []Node{{ID: "dn1", PID: p.pid}} // as if it were one
	c.info.Servers[0].PID = 0
	if err := c.Served(); err == nil || !strings.Contains(err.Error(), "ringctl dev restart --dir "+string(c.files)+" x1") {
		t.Errorf("only a data node runs: %v", err)
	}
	c.info.Nodes[0].PID = 0
	if err := c.Served(); err == nil || !strings.Contains(err.Error(), "is stopped: `ringctl dev up --dir "+string(c.files)) {
		t.Errorf("nothing runs: %v", err)
	}
}

// TestLost: a ring with a member that has lost its disk is complete, however young it is.
func TestLost(t *testing.T) {
	m := &ring.Member{JID: "dn1@d/store", Store: "a"}
	view := func(online bool, store string) []admin.NodeView {
		return []admin.NodeView{{JID: m.JID, Online: online, Health: wire.Health{Store: store}}}
	}
	for _, c := range []struct {
		name  string
		views []admin.NodeView
		lost  bool
	}{
		{"there", view(true, "a"), false},
		{"says no store", view(true, ""), false},
		{"another disk", view(true, "b"), true},
		{"down", view(false, "a"), true},
		{"unknown", nil, true},
	} {
		if got := lost(m, c.views); got != c.lost {
			t.Errorf("%s: lost is %v", c.name, got)
		}
	}
}

// TestAllServed: of five servers one may be down; with two down enough run to be one cluster, and not for each account.
func TestAllServed(t *testing.T) {
	c := served(t)
	pid := c.procs["x1"].pid
	c.info.Servers = nil
	for _, id := range []string{"x1", "x2", "x3", "x4", "x5"} {
		c.info.Servers = append(c.info.Servers, Server{ID: id, PID: pid}) // as if each were it
	}
	for down, want := range []error{nil, nil, ErrSomeAccounts, ErrNoMajority} {
		for i := range down {
			c.info.Servers[i].PID = 0
		}
		if err := c.AllServed(); !errors.Is(err, want) {
			t.Errorf("%d of 5 are down: %v", down, err)
		}
	}
	c.local = true
	if err := c.AllServed(); err != nil {
		t.Errorf("with accounts of their own: %v", err)
	}
}
