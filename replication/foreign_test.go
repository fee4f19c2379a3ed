package replication

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
)

// TestStateOfAnotherStore: replicas of one number have other data in another cluster, and
// their positions may fit the log. Nothing but the name in the file tells that it is wrong.
func TestStateOfAnotherStore(t *testing.T) {
	stopped := func(value string) *testCluster {
		c := newTestCluster(t, 1, 1, nil)
		if r := c.write(0, put(c.session(0), 1, "root", "p", value)); r.Code != op.OK {
			t.Fatalf("%+v", r)
		}
		c.stop(0)
		return c
	}
	x, y := stopped("x"), stopped("y")
	foreign, err := os.ReadFile(filepath.Join(x.root, "1", stateFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(y.root, "1", stateFile), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		faults state.Faults
		seen   bool
	}{{state.Faults{}, true}, {state.Faults{AnyState: true}, false}} {
		err := y.tryOpen(state.Options{Faults: tc.faults})
		if errors.Is(err, state.ErrForeign) != tc.seen {
			t.Errorf("%+v: Open: %v", tc.faults, err)
		}
		if tc.seen && err != nil && !strings.Contains(err.Error(), "ringctl replace") {
			t.Errorf("it does not say what to do: %v", err)
		}
	}
}

// tryOpen opens the first node's directory and closes it again.
func (c *testCluster) tryOpen(opt state.Options) error {
	c.t.Helper()
	d, err := OpenDir(filepath.Join(c.root, "1"))
	if err != nil {
		c.t.Fatal(err)
	}
	n, openErr := Open(Config{Dir: d, Transport: testLink{net: c.net, from: 1}, State: opt})
	if openErr == nil {
		_ = n.Close() // of a foreign state it may tell what it has found meanwhile
	}
	if err := d.Close(); err != nil {
		c.t.Error(err)
	}
	return openErr
}
