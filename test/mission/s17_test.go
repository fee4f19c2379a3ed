package mission

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

const (
	backupRoots = 60
	backupEach  = 10
	cutPairs    = 4
)

// checkBackup: a cluster is backed up while it is written to, and restored into one
// with other numbers of nodes and partitions: every object, reference, expiry,
// index definition and grant is there. What one write caused another is never in
// the backup without it. A torn file is refused, and so is a cluster that has objects.
func checkBackup(t *testing.T) {
	from := harness.Start(t, devcluster.Options{Binary: binary, Partitions: 16})
	client := harness.Dial(t, from, nil)
	want := fillForBackup(t, client)
	runRingctl(t, from, "index", "create", "--field", "name", "byname")
	runRingctl(t, from, "access", "grant", "--yes", "--write", "app@localhost")

	file := filepath.Join(t.TempDir(), "all.jsonl")
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer func() { stop(); wg.Wait() }()
	first := make(chan struct{}, cutPairs)
	for i := range cutPairs {
		wg.Go(func() { writePairs(ctx, client, i, first) })
	}
	for range cutPairs {
		<-first
	}
	var saved struct{ Objects, Time int64 }
	if err := json.Unmarshal(runRingctl(t, from, "backup", "-o", "json", file), &saved); err != nil {
		t.Fatal(err)
	}
	stop()
	wg.Wait()
	if n := int64(len(want) + 2*cutPairs); saved.Objects != n {
		t.Errorf("%d objects saved, want %d", saved.Objects, n)
	}

	to := harness.Start(t, devcluster.Options{Binary: binary, Nodes: 2, Partitions: 7})
	refusesTorn(t, to, file)
	runRingctl(t, to, "restore", file)
	restored := harness.Dial(t, to, nil)
	for key, w := range want {
		get, cancel := context.WithTimeout(t.Context(), time.Minute)
		o, err := restored.Root(key.root).Get(get, key.path)
		cancel()
		if err != nil || !bytes.Equal(o.Value, w.value) || !slices.Equal(o.Refs, w.refs) {
			t.Fatalf("%s %q after the restore: %v", key.root, key.path, err)
		}
	}
	checkPairs(t, restored)
	if out := runRingctl(t, to, "index", "list"); !strings.Contains(string(out), "byname") {
		t.Errorf("index definitions: %s", out)
	}
	if out := runRingctl(t, to, "access", "list"); !strings.Contains(string(out), "app@localhost") {
		t.Errorf("grants: %s", out)
	}
	if out, err := tryRingctl(t, to, "restore", file); err == nil || !strings.Contains(string(out), "has objects already") {
		t.Errorf("restored over objects: %v, %s", err, out)
	}
	again := filepath.Join(t.TempDir(), "again.jsonl")
	runRingctl(t, to, "export", again)
	if a, b := objectLines(t, file), objectLines(t, again); !slices.Equal(a, b) {
		t.Errorf("%d objects exported again, not the %d that were restored", len(b), len(a))
	}
	runRingctl(t, to, "import", again)
}

type objectKey struct{ root, path string }

type objectBody struct {
	value []byte
	refs  []appclient.Ref
}

func fillForBackup(t *testing.T, c *appclient.Client) map[objectKey]objectBody {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	want := make(map[objectKey]objectBody)
	for r := range backupRoots {
		root := fmt.Sprintf("röot/%d <&>", r)
		var m []appclient.Mutation
		for i := range backupEach {
			b := objectBody{value: fmt.Appendf(nil, `{"name":"%d"}`, i)}
			var opts []appclient.MutationOption
			switch i {
			case 1:
				b.value = bytes.Repeat([]byte{0, 0xFF, byte(r)}, 30_000)
			case 2:
				b.refs = []appclient.Ref{{Root: "another"}, {Root: "röot/1", Path: "x"}}
				opts = append(opts, appclient.WithRefs(b.refs...))
			case 3:
				opts = append(opts, appclient.WithTTL(time.Hour))
			}
			path := fmt.Sprint("p ", i)
			want[objectKey{root, path}] = b
			m = append(m, appclient.Put(path, b.value, opts...))
		}
		if _, err := c.Root(root).Batch(ctx, m...); err != nil {
			t.Fatal(err)
		}
	}
	return want
}

func pairRoot(i int, half string) string { return fmt.Sprintf("pair/%d/%s", i, half) }

// writePairs counts up one root, then, because of that, another one.
func writePairs(ctx context.Context, c *appclient.Client, i int, first chan<- struct{}) {
	for n := 1; ctx.Err() == nil; n++ {
		for _, half := range []string{"cause", "effect"} {
			if _, err := c.Root(pairRoot(i, half)).Put(ctx, "", fmt.Append(nil, n)); err != nil {
				return // stopped
			}
		}
		if n == 1 {
			first <- struct{}{}
		}
	}
}

func checkPairs(t *testing.T, c *appclient.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range cutPairs {
		var n [2]int
		for k, half := range []string{"cause", "effect"} {
			o, err := c.Root(pairRoot(i, half)).Get(ctx, "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Sscan(string(o.Value), &n[k]); err != nil {
				t.Fatal(err)
			}
		}
		if n[0] < n[1] || n[0] > n[1]+1 {
			t.Errorf("pair %d: effect %d with cause %d", i, n[1], n[0])
		}
	}
}

func refusesTorn(t *testing.T, c *devcluster.Cluster, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(t.TempDir(), "torn.jsonl")
	if err := os.WriteFile(torn, b[:len(b)*9/10], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := tryRingctl(t, c, "restore", torn); err == nil || !strings.Contains(string(out), "torn") {
		t.Errorf("a torn file: %v, %s", err, out)
	}
}

// objectLines are the objects of a file without their versions, sorted.
func objectLines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		if _, object := o["root"]; !object {
			continue
		}
		delete(o, "version")
		if _, expires := o["expires"]; expires {
			o["expires"] = true // its milliseconds depend on when it was written again
		}
		s, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(s))
	}
	slices.Sort(out)
	return out
}

func tryRingctl(t *testing.T, c *devcluster.Cluster, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "ROSTERDB_DEV="+c.File())
	return cmd.CombinedOutput()
}

func runRingctl(t *testing.T, c *devcluster.Cluster, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "ROSTERDB_DEV="+c.File())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ringctl %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out
}
