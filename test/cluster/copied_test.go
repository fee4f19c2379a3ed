package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/datanode"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/replication"
)

// TestCopiedDirectory: a data directory is copied, and the copy is started while the
// original runs: one store twice. There is one place for its address, so the original is
// thrown out and ends, and does not fight for it. The copy lacks what was acknowledged since; the
// others have it, and nothing is lost as long as they are there.
func TestCopiedDirectory(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	app := c.rawClient("app")
	s, seq := c.session(app, "root"), uint64(0)
	write := func() {
		t.Helper()
		seq++
		if res := c.write(app, put(s, seq, "root", fmt.Sprint("p", seq), []byte("v"))); res.Code != op.OK {
			t.Fatalf("write %d: %+v", seq, res)
		}
	}
	for range 10 {
		write()
	}
	c.stop(2)
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(c.nodes[2].dir)); err != nil {
		t.Fatal(err)
	}
	c.start(2)
	c.level()
	for range 10 {
		write()
	}
	c.stop(1) // so that what is written now needs the original
	for range 10 {
		write()
	}
	c.start(1)
	c.level()

	cfg := c.config(2)
	cfg.Dir = dir
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	copied := make(chan error, 1)
	go func() { copied <- datanode.Run(ctx, cfg) }()
	ended := func(what string, ch <-chan error) error {
		t.Helper()
		select {
		case err := <-ch:
			return err
		case <-time.After(patience):
			t.Fatalf("%s goes on", what)
			return nil
		}
	}
	if err := ended("the original", c.nodes[2].ended); !errors.Is(err, xmppconn.ErrReplaced) {
		t.Errorf("the original ended with %v, want ErrReplaced", err)
	}
	c.nodes[2].cancel = nil
	for range 10 {
		write()
	}
	cancel()
	// It notices what it lacks unless its leaders have changed since.
	if err := ended("the copy", copied); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, replication.ErrContradiction) {
		t.Errorf("the copy ended with %v", err)
	}
	// What the copy promised the original does not know: neither is the member any more. The
	// others have everything.
	for i := range seq {
		if res := c.read(app, get("root", fmt.Sprint("p", i+1))); res.Code != op.OK {
			t.Errorf("write %d is lost: %+v", i+1, res)
		}
	}
	write()
}

// level waits until all replicas have everything.
func (c *cluster) level() {
	c.t.Helper()
	c.eventually("all replicas have everything", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), patience/4)
		defer cancel()
		l, err := c.op.Leaders(ctx, c.doc)
		if err != nil || l.Led < testPartitions || len(l.Silent)+len(l.Behind) > 0 {
			return false
		}
		for i := range c.nodes {
			if !c.view(i).Online {
				return false
			}
		}
		return true
	})
}
