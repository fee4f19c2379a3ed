package replication

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestAnOlderCopyStopsTheNode: a directory put back from a copy has forgotten what it
// acknowledged since. The node must end, and say so by a name that its owner can tell apart.
// With the seeded fault it has no such name.
func TestAnOlderCopyStopsTheNode(t *testing.T) {
	for _, planted := range []bool{false, true} {
		if err := olderCopy(t, planted); errors.Is(err, ErrContradiction) == planted {
			t.Errorf("planted %v: it stopped with %v", planted, err)
		}
	}
}

// olderCopy tells what a node stops with whose directory is put back from a copy.
func olderCopy(t *testing.T, planted bool) error {
	fatal := make(chan error, 8)
	c := newTestCluster(t, 3, 3, func(cfg *Config) {
		cfg.OnFatal = func(err error) { fatal <- err }
		cfg.Faults.ContradictionUnnamed = planted
	})
	c.waitPreferred()
	const group = 1 // led by member 2; member 1 follows
	s := c.session(group)
	seq := uint64(0)
	write := func() {
		for range 5 {
			seq++
			if res := c.write(group, put(s, seq, "root", "p", fmt.Sprint(seq))); res.Code != op.OK {
				t.Fatalf("write %d: %+v", seq, res)
			}
		}
	}
	level := func() {
		eventually(t, "member 1 has what member 2 has", func() bool {
			return c.node(0).part(group).Digest() == c.node(1).part(group).Digest()
		})
	}
	write()
	level()
	c.stop(0)
	dir := filepath.Join(c.root, "1")
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	c.start(0)
	write()
	level()
	c.stop(0)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(older)); err != nil {
		t.Fatal(err)
	}
	c.start(0)
	err := <-fatal
	c.abandon(0)
	return err
}

// abandon closes a node that a fatal error has stopped.
func (c *testCluster) abandon(i int) {
	_ = c.node(i).Close() // tells the fatal error once more
	c.net.mu.Lock()
	delete(c.net.nodes, uint64(i+1))
	c.net.mu.Unlock()
	if err := c.dirs[i].Close(); err != nil {
		c.t.Error(err)
	}
	c.dirs[i] = nil
}
