package replication

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestAnOlderLogAloneStopsTheNode: `wal/` put back from a copy, beside a state that is newer. The log is whole
// and closed in good order, but votes and acknowledged entries are missing in it; the node must not start. With the
// seeded fault it does.
func TestAnOlderLogAloneStopsTheNode(t *testing.T) {
	for _, planted := range []bool{false, true} {
		for name, write := range map[string]bool{"after writes": true, "after a vote": false} {
			t.Run(fmt.Sprintf("%s planted %v", name, planted), func(t *testing.T) { olderLog(t, write, planted) })
		}
	}
}

func olderLog(t *testing.T, write, planted bool) {
	c := newTestCluster(t, 1, 1, func(cfg *Config) { cfg.Faults.AnyLog = planted })
	c.waitPreferred()
	s := c.session(0)
	put := func(seq uint64) {
		if res := c.write(0, put(s, seq, "root", "p", fmt.Sprint(seq))); res.Code != op.OK {
			t.Fatalf("write %d: %+v", seq, res)
		}
	}
	put(1)
	c.stop(0)
	dir := filepath.Join(c.root, "1", walDir)
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	c.start(0)
	c.waitPreferred() // it has voted for itself
	if write {
		put(2)
	}
	c.stop(0)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(older)); err != nil {
		t.Fatal(err)
	}
	err := c.tryStart(0)
	if planted {
		if err != nil {
			t.Fatalf("with the fault: %v", err)
		}
		return
	}
	if !errors.Is(err, ErrLostState) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "ringctl replace") {
		t.Fatalf("it started with %v, want ErrLostState that says what to do", err)
	}
}
