// Package harness gives tests over real processes what they share: a ringctl
// built once, clusters that are gone when the test is, and clients.
package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// startTimeout is generous: tests share the machine with other tests.
const startTimeout = 2 * time.Minute

// Patience is for what takes a few seconds on an idle machine.
const Patience = startTimeout

// Main is the body of a TestMain: it builds ringctl for the tests to come, tells
// its path in binary, runs them, and exits.
func Main(m *testing.M, binary *string) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ringctl-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, "make a directory for the binary:", err)
			return 1
		}
		defer os.RemoveAll(dir) //nolint:errcheck // the system empties it at last
		*binary = filepath.Join(dir, "ringctl")
		out, err := exec.Command("go", "build", "-o", *binary, "github.com/rosterdb/rosterdb/cli/ringctl").CombinedOutput()
		if err != nil {
			fmt.Fprintf(os.Stderr, "build ringctl: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// servers is how many XMPP servers a cluster has, unless a test says why it wants another number: data nodes and clients
// have streams to two of them, and what the servers keep is replicated over all.
const servers = 3

// Start starts a cluster for one test, of three XMPP servers if the test names no other number. It ends with the test,
// or with the test process however that ends.
func Start(t testing.TB, o devcluster.Options) *devcluster.Cluster {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "cluster")
	}
	if o.Servers == 0 {
		o.Servers = servers
	}
	o.DieWithParent = true
	o.StartTimeout = startTimeout
	c, err := devcluster.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("start a cluster: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("stop the cluster: %v", err)
		}
		if t.Failed() {
			logs(t, c)
		}
	})
	return c
}

// logs shows what the processes of a failed test have written last.
func logs(t testing.TB, c *devcluster.Cluster) {
	info := c.Info()
	ids := []string{}
	for _, s := range info.Servers {
		ids = append(ids, s.ID)
	}
	for _, n := range info.Nodes {
		ids = append(ids, n.ID)
	}
	for _, id := range ids {
		b, err := os.ReadFile(c.Log(id))
		if err != nil {
			continue
		}
		const most = 2000
		if len(b) > most {
			b = b[len(b)-most:]
		}
		t.Logf("end of the log of %s:\n%s", id, b)
	}
}

// Dial logs an application client in; it is closed with the test.
func Dial(t testing.TB, c *devcluster.Cluster, change func(*appclient.Config)) *appclient.Client {
	t.Helper()
	cfg, err := appclient.FromDev(c.File())
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	client, err := appclient.Dial(ctx, cfg)
	if err != nil {
		t.Fatalf("log in as an application: %v", err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	return client
}

// Eventually polls a condition; the test fails when it does not hold in time.
func Eventually(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond) // the pause of a poll
	}
}
