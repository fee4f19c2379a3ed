package appclient_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// TestWatchBeginsWhereIndexIsKnown: while an index is being created, partitions hear of it one after the other. A watch
// does not begin before the last has; with the seeded fault it does, at a position from before the index, and ends with ErrCompacted.
func TestWatchBeginsWhereIndexIsKnown(t *testing.T) {
	for _, fault := range []bool{false, true} {
		cl := cluster(t, appclienttest.Options{Nodes: 1, Partitions: 2, Indexes: []appclienttest.Index{{Name: "tag", Path: "*", Field: "tag"}}})
		cl.Unhear(1, "tag") // verify looks at partition 0
		c, err := appclient.DialWith(deadline(t), cl.Config(), appclient.Faults{WatchUnheard: fault})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		ctx := deadline(t)
		w := c.Watch(appclient.WatchOptions{Index: "tag"})
		err = w.Begin(ctx)
		cl.Hear(1)
		if fault {
			if err != nil {
				t.Fatalf("with the fault it does not begin: %v", err)
			}
			for _, err = range w.Events(ctx) {
				break
			}
			if !errors.Is(err, appclient.ErrCompacted) {
				t.Errorf("with the fault: %v, want ErrCompacted", err)
			}
			continue
		}
		if !errors.Is(err, appclient.ErrNotFound) {
			t.Fatalf("it begins where a partition does not know the index: %v, want ErrNotFound", err)
		}
		if err := w.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		for i := range 8 { // of both partitions
			if _, err := c.Root(fmt.Sprint("r", i)).Put(ctx, "p", []byte(`{"tag":1}`)); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(take(t, w, 8)); n != 8 {
			t.Errorf("%d events of 8", n)
		}
	}
}
