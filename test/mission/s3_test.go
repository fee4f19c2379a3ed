package mission

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

const (
	treeObjects = 8  // of each root, all written by every batch
	treeRoots   = 24 // over many partitions
)

// checkAtomicBatches: a batch writes the same stamp to all objects of a root.
// Data nodes are killed while batches run; whatever a client reads afterwards
// has one stamp in the whole tree. A batch with one condition that does not
// hold changes nothing, and all objects of a root have one owner.
func checkAtomicBatches(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary})
	client := harness.Dial(t, c, nil)
	refusedWhole(t, client.Root("tree/refused"))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var acked [treeRoots]atomic.Int64 // newest acknowledged stamp of each root
	var batches atomic.Int64
	var wg sync.WaitGroup
	for r := range treeRoots {
		wg.Go(func() {
			root := client.Root(treeRoot(r))
			for stamp := int64(1); ctx.Err() == nil; stamp++ {
				if err := writeTree(ctx, root, stamp); err == nil {
					acked[r].Store(stamp)
					batches.Add(1)
				}
			}
		})
	}
	victim := nodeID(client.Where(treeRoot(0)).Leader)
	harness.Eventually(t, time.Minute, "500 batches", func() bool { return batches.Load() > 500 })
	if err := c.Kill(victim); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Minute, "1000 batches", func() bool { return batches.Load() > 1000 })
	stop()
	wg.Wait()
	if err := c.Restart(t.Context(), victim); err != nil {
		t.Fatal(err)
	}
	reader := harness.Dial(t, c, nil)
	for r := range treeRoots {
		stamp := oneStamp(t, reader.Root(treeRoot(r)))
		if stamp < acked[r].Load() {
			t.Errorf("root %d holds stamp %d, but %d was acknowledged", r, stamp, acked[r].Load())
		}
		if where := reader.Where(treeRoot(r)); len(where.Replicas) != 3 {
			t.Errorf("root %d has replicas %v", r, where.Replicas)
		}
	}
}

func treeRoot(r int) string { return fmt.Sprintf("tree/%d", r) }

func writeTree(ctx context.Context, root appclient.Root, stamp int64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var m []appclient.Mutation
	for i := range treeObjects {
		m = append(m, appclient.Put(fmt.Sprintf("branch/%d", i), fmt.Append(nil, stamp)))
	}
	_, err := root.Batch(ctx, m...)
	return err
}

// oneStamp reads the tree and checks that all of it was written by one batch.
func oneStamp(t *testing.T, root appclient.Root) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var first *appclient.Object
	for i := range treeObjects {
		o, err := root.Get(ctx, fmt.Sprintf("branch/%d", i))
		if err != nil {
			t.Fatalf("root %s, object %d: %v", root.Name(), i, err)
		}
		if first == nil {
			first = o
		}
		if !bytes.Equal(o.Value, first.Value) || o.Version != first.Version {
			t.Errorf("root %s was written in part: object %d holds %s, object 0 holds %s", root.Name(), i, o.Value, first.Value)
		}
	}
	var stamp int64
	if _, err := fmt.Sscan(string(first.Value), &stamp); err != nil {
		t.Fatal(err)
	}
	return stamp
}

// refusedWhole: one condition of three does not hold.
func refusedWhole(t *testing.T, root appclient.Root) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := root.Put(ctx, "there", []byte("old")); err != nil {
		t.Fatal(err)
	}
	_, err := root.Batch(ctx,
		appclient.Put("first", []byte("new")),
		appclient.Put("there", []byte("new"), appclient.IfAbsent()),
		appclient.Put("last", []byte("new")))
	if !errors.Is(err, appclient.ErrConflict) {
		t.Fatalf("a batch with a condition that does not hold: %v, want a conflict", err)
	}
	for path, want := range map[string]string{"first": "", "there": "old", "last": ""} {
		o, err := root.Get(ctx, path)
		switch {
		case want == "" && !errors.Is(err, appclient.ErrNotFound):
			t.Errorf("%s after a refused batch: %v, want not found", path, err)
		case want != "" && (err != nil || string(o.Value) != want):
			t.Errorf("%s after a refused batch: %v, want %q unchanged", path, err, want)
		}
	}
}

func nodeID(jid string) string { return jid[:bytes.IndexByte([]byte(jid), '@')] }
