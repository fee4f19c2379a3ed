package replication

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestMemoryIsBoundedWhereTheDiskIsSlow: while a flush lasts no more is applied than
// what may wait for the next, and afterwards all of it.
func TestMemoryIsBoundedWhereTheDiskIsSlow(t *testing.T) {
	const limit, size, writes = 1 << 20, 100 << 10, 40
	slow := make(chan struct{})
	c := newTestCluster(t, 1, 1, func(cfg *Config) {
		cfg.dirtyAt, cfg.beforeFlush = limit, func() { <-slow }
	})
	t.Cleanup(func() { // before the cluster is closed
		select {
		case <-slow:
		default:
			close(slow)
		}
	})
	n, s := c.node(0), c.session(0)
	results := make(chan op.WriteResult, writes)
	ps := make([]Proposal, writes)
	for i := range ps {
		ps[i] = Proposal{Group: 0, Cmd: put(s, uint64(i+1), fmt.Sprint("root", i), "object", strings.Repeat("v", size)), Done: func(r op.WriteResult) { results <- r }}
	}
	n.ProposeBatch(ps)
	eventually(t, "an applier that waits", func() bool {
		n.flushes.mu.Lock()
		defer n.flushes.mu.Unlock()
		return n.flushes.wait != nil
	})
	if dirty := n.store.Dirty(); dirty > limit+2*size || len(results) == writes {
		t.Errorf("%d bytes wait for a flush, of at most %d; %d writes are answered", dirty, limit, len(results))
	}
	close(slow)
	for range writes {
		if r := <-results; r.Code != op.OK {
			t.Fatal(r)
		}
	}
}
