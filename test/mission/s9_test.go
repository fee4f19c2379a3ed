package mission

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

const (
	killWrites  = 10_000 // around each kill
	killWriters = 16
)

// checkReplication: `ringctl where` says what the nodes themselves say; any one
// data node is killed in the middle of 10,000 writes, and all of them at once:
// no acknowledged write is lost, and for one node at most one write fails.
func checkReplication(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary})
	whereAgrees(t, c)
	client := harness.Dial(t, c, nil)
	for _, n := range c.Info().Nodes {
		acked, failed := writeAround(t, client, n.ID, func() { kill(t, c, n.ID) })
		if failed > 1 {
			t.Errorf("%d writes failed when %s was killed; at most one may", failed, n.ID)
		}
		allThere(t, harness.Dial(t, c, nil), acked)
		restart(t, c, n.ID)
	}
	acked, _ := writeAround(t, client, "all", func() {
		for _, n := range c.Info().Nodes {
			kill(t, c, n.ID)
		}
		for _, n := range c.Info().Nodes {
			if err := c.Restart(t.Context(), n.ID); err != nil {
				t.Error(err)
			}
		}
	})
	if err := c.WaitHealthy(t.Context()); err != nil {
		t.Fatal(err)
	}
	allThere(t, harness.Dial(t, c, nil), acked)
}

func kill(t *testing.T, c *devcluster.Cluster, id string) {
	if err := c.Kill(id); err != nil {
		t.Error(err)
	}
}

func restart(t *testing.T, c *devcluster.Cluster, id string) {
	t.Helper()
	if err := c.Restart(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	if err := c.WaitHealthy(ctx); err != nil {
		t.Fatal(err)
	}
}

// written is an acknowledged write: root and path.
type written struct{ root, path string }

// writeAround makes killWrites acknowledged writes and calls interrupt in their middle.
func writeAround(t *testing.T, c *appclient.Client, round string, interrupt func()) (acked []written, failed int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*harness.Patience)
	defer cancel()
	var mu sync.Mutex
	var done atomic.Int64
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() {
			for i := 0; done.Load() < killWrites && ctx.Err() == nil; i++ {
				key := written{fmt.Sprintf("kill/%s/%d", round, (i*killWriters+w)%500), fmt.Sprintf("%d.%d", w, i)}
				err := put(ctx, c, key)
				done.Add(1)
				mu.Lock()
				if err == nil {
					acked = append(acked, key)
				} else {
					failed++
					t.Logf("write %v: %v", key, err)
				}
				mu.Unlock()
			}
		})
	}
	harness.Eventually(t, harness.Patience, "a third of the writes", func() bool { return done.Load() > killWrites/3 })
	interrupt()
	wg.Wait()
	if done.Load() < killWrites {
		t.Fatalf("only %d of %d writes ended in time", done.Load(), killWrites)
	}
	return acked, failed
}

func put(ctx context.Context, c *appclient.Client, key written) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := c.Root(key.root).Put(ctx, key.path, []byte(key.path))
	return err
}

// allThere reads every acknowledged write.
func allThere(t *testing.T, c *appclient.Client, acked []written) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() {
			for i := w; i < len(acked); i += killWriters {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				o, err := c.Root(acked[i].root).Get(ctx, acked[i].path)
				cancel()
				if err != nil || string(o.Value) != acked[i].path {
					t.Errorf("acknowledged write %v: read back %v, %v", acked[i], o, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// whereAgrees compares `ringctl where` with what each data node says it leads
// and holds.
func whereAgrees(t *testing.T, c *devcluster.Cluster) {
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
	status := map[string]*admin.NodeStatus{}
	for _, n := range c.Info().Nodes {
		if status[n.JID], err = operator.Groups(t.Context(), n.JID); err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range []string{"net/http", "cart/42", "ünïcode", "x y"} {
		var told struct {
			Partition uint32
			Leader    string
			Replicas  []string
		}
		cmd := exec.CommandContext(t.Context(), binary, "where", "-o", "json", root)
		cmd.Env = append(os.Environ(), "ROSTERDB_DEV="+c.File())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("ringctl where %q: %v", root, err)
		}
		if err := json.Unmarshal(out, &told); err != nil {
			t.Fatalf("ringctl where %q: %v in %s", root, err, out)
		}
		var leader string
		var replicas []string
		for jid, s := range status {
			for _, g := range s.Groups {
				if g.Group != told.Partition {
					continue
				}
				replicas = append(replicas, jid)
				if s.Member == g.Leader {
					leader = jid
				}
			}
		}
		slices.Sort(replicas)
		slices.Sort(told.Replicas)
		if leader != told.Leader || !slices.Equal(replicas, told.Replicas) {
			t.Errorf("ringctl where %q says leader %s, replicas %v; the nodes say %s, %v", root, told.Leader, told.Replicas, leader, replicas)
		}
	}
}

func ptr[T any](v T) *T { return &v }
