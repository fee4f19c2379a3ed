package mission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

const (
	hotCallers    = 64
	hotIncrements = 50 // of each caller
	hotReads      = 3000
	hotWrites     = 400
)

// checkHotObject: increments of one counter by many callers share writes and are
// exact, reads of a bounded age are served by every replica, and the list of hot
// objects names the one that is hot among many that are not.
func checkHotObject(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, Partitions: 16})
	client := harness.Dial(t, c, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	counter := client.Root("hot/counter")
	each(t, hotCallers, func(int) error {
		for range hotIncrements {
			if _, err := counter.Increment(ctx, "", 1); err != nil {
				return err
			}
		}
		return nil
	})
	o, err := counter.Get(ctx, "", appclient.Stale(0))
	if err != nil || string(o.Value) != fmt.Sprint(hotCallers*hotIncrements) {
		t.Fatalf("counter %v, %v; want %d", o, err, hotCallers*hotIncrements)
	}
	if o.Version >= hotCallers*hotIncrements {
		t.Errorf("%d increments took %d writes: none were merged", hotCallers*hotIncrements, o.Version)
	}
	t.Logf("%d increments in %d writes", hotCallers*hotIncrements, o.Version)

	before := served(t, c)
	each(t, hotCallers, func(i int) error {
		for k := range hotReads / hotCallers {
			if _, err := counter.Get(ctx, "", appclient.Stale(5*time.Second)); err != nil {
				return err
			}
			if k%8 == 0 {
				if _, err := client.Root(fmt.Sprintf("cold/%d/%d", i, k)).Get(ctx, ""); err != nil && !isNotFound(err) {
					return err
				}
			}
		}
		return nil
	})
	for jid, n := range served(t, c) {
		if n == before[jid] {
			t.Errorf("%s served none of %d reads of a bounded age", jid, hotReads)
		}
		t.Logf("%s served %d reads", jid, n-before[jid])
	}

	each(t, 16, func(i int) error {
		for k := range hotWrites / 16 {
			for _, root := range []string{"hot/page", fmt.Sprintf("cold/%d/%d", i, k)} {
				if _, err := client.Root(root).Put(ctx, "", []byte("x")); err != nil {
					return err
				}
			}
		}
		return nil
	})
	var hot struct{ Reads, Writes []struct{ Root string } }
	if err := json.Unmarshal(runRingctl(t, c, "hot", "-o", "json"), &hot); err != nil {
		t.Fatal(err)
	}
	if len(hot.Reads) == 0 || hot.Reads[0].Root != "hot/counter" {
		t.Errorf("hottest in reading: %v", hot.Reads)
	}
	if len(hot.Writes) == 0 || hot.Writes[0].Root != "hot/page" {
		t.Errorf("hottest in writing: %v", hot.Writes)
	}
}

// each runs f many times at once.
func each(t *testing.T, count int, f func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() {
			if err := f(i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// served is how many operations each data node has taken.
func served(t *testing.T, c *devcluster.Cluster) map[string]uint64 {
	t.Helper()
	cfg, err := ptr(c.Info()).Config("operator")
	if err != nil {
		t.Fatal(err)
	}
	operator, err := admin.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	out := make(map[string]uint64)
	for _, n := range c.Info().Nodes {
		s, err := operator.Status(t.Context(), n.JID)
		if err != nil {
			t.Fatal(err)
		}
		out[n.JID] = s.Operations
	}
	return out
}

func isNotFound(err error) bool { return errors.Is(err, appclient.ErrNotFound) }
