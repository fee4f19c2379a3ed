package mission

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

const (
	indexedRoots = 6
	indexRounds  = 200 // events told between one trouble and the next
)

// indexSteps is what is done to an object, over and over, and what a watch of the
// index over its ages tells of it.
var indexSteps = [...]struct {
	value string // "": it is deleted
	told  appclient.EventKind
}{
	{`{"age":20}`, appclient.Written},
	{`{"age":30}`, appclient.Written},
	{`{"name":"x"}`, appclient.Left},
	{`{"name":"y"}`, 0}, // not in the index before, nor after
	{`{"age":40}`, appclient.Written},
	{"", appclient.Deleted},
}

// watchIndex follows an index while leaders are killed (SIGKILL) and come back:
// each change of it is told once, in the order of each root, and no other; and
// what a query finds in the end is what the changes add up to.
func watchIndex(ctx context.Context, t *testing.T, c *devcluster.Cluster, client *appclient.Client) {
	createIndex(t, c, "--prefix", "person/", "--field", "age", "age")
	if _, err := indexed(ctx, client); err != nil { // it answers when the index is complete
		t.Fatal(err)
	}
	w := client.Watch(appclient.WatchOptions{Index: "age"})
	if err := w.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	f := &indexLog{revisions: make(map[string]uint64), present: make(map[string]bool)}
	stop, follow := make(chan struct{}), make(chan error, 1)
	go func() { follow <- f.follow(ctx, w) }()
	var wg sync.WaitGroup
	for i := range indexedRoots {
		wg.Go(func() { f.writes(ctx, t, client.Root(fmt.Sprint("person/", i)), stop) })
	}
	for round := range 2 {
		id := leaderOf(t, c, fmt.Sprint("person/", round))
		for _, trouble := range []func() error{
			func() error { return c.Kill(id) },
			func() error { return c.Restart(t.Context(), id) },
		} {
			seen := f.told.Load()
			if err := trouble(); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, 2*time.Minute, "changes of the index are told", func() bool { return f.told.Load() > seen+indexRounds || len(follow) > 0 })
		}
		if err := c.WaitHealthy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	f.total.Store(f.wrote.Load() + 1)
	if _, err := client.Root("person/end").Put(ctx, "", []byte(`{"age":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := <-follow; err != nil {
		t.Fatal(err)
	}
	if found, err := indexed(ctx, client); err != nil || !maps.Equal(found, f.present) {
		t.Errorf("the index has %v, %v; the changes add up to %v", found, err, f.present)
	}
	t.Logf("%d changes of the index told", f.told.Load())
}

// createIndex declares an index, and waits until all data nodes know of it.
func createIndex(t *testing.T, c *devcluster.Cluster, args ...string) {
	t.Helper()
	r := ringctl{t: t, c: c}
	r.must(append([]string{"index", "create"}, args...)...)
	epoch := r.ring().Epoch
	r.eventually("all data nodes know of the index", func(by map[string]statusRow) bool {
		for _, row := range by {
			if row.Epoch < epoch {
				return false
			}
		}
		return len(by) == len(c.Info().Nodes)
	})
}

// indexed is what a query finds.
func indexed(ctx context.Context, c *appclient.Client) (found map[string]bool, err error) {
	found = make(map[string]bool)
	for m, err := range c.Query(ctx, appclient.Query{Index: "age"}) {
		if err != nil {
			return nil, err
		}
		found[m.Root] = true
	}
	return found, nil
}

// indexLog is what a watch of an index has told.
type indexLog struct {
	wrote, told atomic.Int64
	total       atomic.Int64 // events that there will be; 0: not known yet

	revisions map[string]uint64 // of the last event of each root
	present   map[string]bool   // in the index, as the events say
}

// follow takes events until the last.
func (f *indexLog) follow(ctx context.Context, w *appclient.Watch) error {
	for ev, err := range w.Events(ctx) {
		if err != nil {
			return err
		}
		if err := f.take(&ev); err != nil {
			return err
		}
		if f.told.Add(1) == f.total.Load() {
			return nil
		}
	}
	return nil
}

// take checks that an event is the next one of its root. Each step makes a
// revision; those that do not concern the index are passed over.
func (f *indexLog) take(ev *appclient.Event) error {
	next := f.revisions[ev.Root] + 1
	step := func() int { return int((next - 1) % uint64(len(indexSteps))) }
	if indexSteps[step()].told == 0 {
		next++
	}
	if ev.Revision != next || ev.Kind != indexSteps[step()].told || ev.Path != "" || ev.More {
		return fmt.Errorf("root %s: event %+v, want %s of revision %d", ev.Root, ev, indexSteps[step()].told, next)
	}
	f.revisions[ev.Root] = next
	if delete(f.present, ev.Root); ev.Kind == appclient.Written {
		f.present[ev.Root] = true
	}
	return nil
}

// writes takes an object through the steps, in whole rounds.
func (f *indexLog) writes(ctx context.Context, t *testing.T, r appclient.Root, stop <-chan struct{}) {
	for {
		for _, s := range indexSteps {
			for f.wrote.Load() > f.told.Load()+1000 && ctx.Err() == nil {
				time.Sleep(time.Millisecond) // the pause of a poll: what is forgotten cannot be told
			}
			var err error
			if s.value == "" {
				err = r.Delete(ctx, "")
			} else {
				_, err = r.Put(ctx, "", []byte(s.value))
			}
			if err != nil {
				t.Errorf("write: %v", err)
				return
			}
			if s.told != 0 {
				f.wrote.Add(1)
			}
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// leaderOf names the node that leads a root's partition.
func leaderOf(t *testing.T, c *devcluster.Cluster, root string) (id string) {
	t.Helper()
	var told struct{ Leader string }
	if err := json.Unmarshal(runRingctl(t, c, "where", "-o", "json", root), &told); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Info().Nodes {
		if n.JID == told.Leader {
			return n.ID
		}
	}
	t.Fatalf("no data node is %q", told.Leader)
	return ""
}
