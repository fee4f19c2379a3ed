package mission

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

const (
	scanRoots = 120
	scanEach  = 5
	readers   = 32 // at once
)

// checkScansAndQueries: with 1, 2, 4 and 8 data nodes, a scan gives all objects in
// order, whatever the size of its pages; a query of an index over all partitions
// gives the objects within its bounds in order; and reads of a bounded age are
// served by every data node that has a replica. It prints how many each served, at which rate, and what a read costs.
func checkScansAndQueries(t *testing.T) {
	for _, nodes := range []int{1, 2, 4, 8} {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			c := harness.Start(t, devcluster.Options{Binary: binary, Nodes: nodes, Partitions: 16, Metrics: true})
			client := harness.Dial(t, c, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			createIndex(t, c, "--prefix", "item/", "--field", "price", "price")
			names := fillToScan(ctx, t, client)
			for _, size := range []int{0, 7} {
				scansInOrder(ctx, t, client, names, size)
			}
			queriesInOrder(ctx, t, client)
			readsSpread(ctx, t, c, client)
		})
	}
}

// fillToScan returns the objects' names in order.
func fillToScan(ctx context.Context, t *testing.T, c *appclient.Client) (names []string) {
	t.Helper()
	for r := range scanRoots {
		root := fmt.Sprintf("item/%d", r)
		m := []appclient.Mutation{appclient.Put("", fmt.Appendf(nil, `{"price":%d}`, r%40))}
		names = append(names, root+"\x00")
		for i := range scanEach {
			path := fmt.Sprintf("part/%d", i)
			m = append(m, appclient.Put(path, []byte(path)))
			names = append(names, root+"\x00"+path)
		}
		if _, err := c.Root(root).Batch(ctx, m...); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	return names
}

func scansInOrder(ctx context.Context, t *testing.T, c *appclient.Client, want []string, size int) {
	t.Helper()
	var got []string
	for o, err := range c.Scan(ctx, appclient.ScanOptions{Prefix: "item/", PageSize: size}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Root+"\x00"+o.Path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages of %d: %d objects scanned, want %d, in order", size, len(got), len(want))
	}
}

func queriesInOrder(ctx context.Context, t *testing.T, c *appclient.Client) {
	t.Helper()
	var prices []float64
	for m, err := range c.Query(ctx, appclient.Query{Index: "price", From: appclient.NumberKey(10), To: appclient.NumberKey(19)}) {
		if err != nil {
			t.Fatal(err)
		}
		prices = append(prices, m.Key.Value().(float64))
		if want := fmt.Sprintf(`{"price":%v}`, m.Key.Value()); string(m.Value) != want || !strings.HasPrefix(m.Root, "item/") {
			t.Errorf("%s: %s, want %s", m.Root, m.Value, want)
		}
	}
	if len(prices) != 10*scanRoots/40 || !slices.IsSorted(prices) {
		t.Errorf("prices %v", prices)
	}
}

// readsSpread reads until each replica has served something.
func readsSpread(ctx context.Context, t *testing.T, c *devcluster.Cluster, client *appclient.Client) {
	t.Helper()
	before, cpu, began, reads := served(t, c), nodesCPU(t, c), time.Now(), 0
	var spread map[string]uint64
	harness.Eventually(t, 2*time.Minute, "every data node serves reads of a bounded age", func() bool {
		each(t, readers, func(i int) error {
			for r := range scanRoots {
				if _, err := client.Root(fmt.Sprintf("item/%d", r)).Get(ctx, "", appclient.Stale(10*time.Second)); err != nil {
					return err
				}
			}
			return nil
		})
		reads += readers * scanRoots
		spread = served(t, c)
		for jid, n := range spread {
			if spread[jid] = n - before[jid]; spread[jid] == 0 {
				return false
			}
		}
		return true
	})
	cpu = nodesCPU(t, c) - cpu
	t.Logf("%d reads: %.0f a second, %.1f us of the data nodes' CPU each; served by each: %v", reads, float64(reads)/time.Since(began).Seconds(), 1e6*cpu/float64(reads), spread)
}

// nodesCPU is what all data nodes have taken of the processors, in seconds.
func nodesCPU(t *testing.T, c *devcluster.Cluster) (sum float64) {
	t.Helper()
	for _, n := range c.Info().Nodes {
		sum += harness.Metrics(t.Context(), n.Metrics, "process_cpu_seconds_total")
	}
	return sum
}
