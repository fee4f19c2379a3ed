package mission

import (
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

// checkWatches follows a prefix and a root while data nodes are killed and come
// back, the watchers' connections break, and watchers end and are taken up by
// others at their tokens: each change is seen once, in the order of each root.
// Then the same of an index (watchIndex).
func checkWatches(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, InsecurePlaintext: true})
	w := tap(t, c.Info().Servers[0].C2S)
	defer w.close()
	follower := harness.Dial(t, c, func(cfg *appclient.Config) { cfg.Addrs = []string{w.addr()} })
	writer := harness.Dial(t, c, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()

	// Not to be seen: it was before, and elsewhere.
	if _, err := writer.Root("watched/0").Put(ctx, "before", nil); err != nil {
		t.Fatal(err)
	}
	prefix := follower.Watch(appclient.WatchOptions{Prefix: "watched/"})
	if err := prefix.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	f := &watchLog{revisions: map[string]uint64{watchedRoot(0): 1}, half: make(map[string]bool)}
	stop, written := make(chan struct{}), make([]uint64, watchedRoots)
	var wg sync.WaitGroup
	for i := range watchedRoots {
		wg.Go(func() { written[i] = f.writes(ctx, t, writer.Root(watchedRoot(i)), stop) })
	}
	follow := make(chan error, 1)
	go func() { follow <- f.follow(ctx, follower, prefix) }()
	restart := func(id string) error {
		if err := c.Restart(t.Context(), id); err != nil {
			return err
		}
		return c.WaitHealthy(t.Context())
	}
	for i, trouble := range []func() error{
		func() error { w.cut(); return nil },
		func() error { return c.Kill(c.Info().Nodes[0].ID) },
		func() error { return restart(c.Info().Nodes[0].ID) },
		func() error { w.cut(); return c.Kill(c.Info().Nodes[1].ID) },
		func() error { return restart(c.Info().Nodes[1].ID) },
	} {
		seen := f.events.Load()
		if err := trouble(); err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, time.Minute, fmt.Sprint("events after trouble ", i), func() bool { return f.events.Load() > seen+100 || len(follow) > 0 })
	}
	close(stop)
	wg.Wait()
	if _, err := writer.Root("watched/end").Put(ctx, "", nil); err != nil {
		t.Fatal(err)
	}
	f.expect(written)
	select {
	case err := <-follow:
		if err != nil {
			t.Fatal(err)
		}
	case <-ctx.Done():
		t.Fatal("the watch did not come to the end")
	}
	t.Logf("%d events, taken up %d times at a token", f.events.Load(), f.resumed)
	resumeByRevision(ctx, t, follower, written[1])
	manyWatches(ctx, t, writer)
	watchIndex(ctx, t, c, follower)
}

// manyWatches has one client watch many prefixes at once, twice: those that have
// ended leave room for others. Each tells what it is to tell.
func manyWatches(ctx context.Context, t *testing.T, c *appclient.Client) {
	const watches = 40
	for round := range 2 {
		var wg sync.WaitGroup
		for i := range watches {
			name := fmt.Sprintf("many/%d/%d", round, i)
			w := c.Watch(appclient.WatchOptions{Prefix: name + "/"})
			if err := w.Begin(ctx); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				for ev, err := range w.Events(ctx) {
					if err != nil || ev.Root != name+"/x" {
						t.Errorf("watch of %q: %+v, %v", name, ev, err)
					}
					return
				}
			})
		}
		for i := range watches {
			if _, err := c.Root(fmt.Sprintf("many/%d/%d/x", round, i)).Put(ctx, "", nil); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
	}
}

const (
	watchedRoots = 12
	watchResumed = 100 // times
)

func watchedRoot(i int) string { return fmt.Sprint("watched/", i) }

// writes changes a root, two objects at a time, and returns its last revision. It
// does not run away from the watch: what is forgotten cannot be told.
func (f *watchLog) writes(ctx context.Context, t *testing.T, r appclient.Root, stop <-chan struct{}) (revision uint64) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return revision
		default:
		}
		const lead = 1000 // events
		if f.written.Load() > f.events.Load()+lead {
			time.Sleep(time.Millisecond) // the pause of a poll
			continue
		}
		res, err := r.Batch(ctx, appclient.Put("a", fmt.Append(nil, n)), appclient.Put("b", fmt.Append(nil, n)))
		if err != nil {
			t.Errorf("write: %v", err)
			return revision
		}
		revision = res.Revision
		f.written.Add(2)
	}
}

// watchLog is what a watch has told.
type watchLog struct {
	written atomic.Int64
	events  atomic.Int64
	resumed int

	mu        sync.Mutex
	revisions map[string]uint64 // of the last event of each root
	half      map[string]bool   // another event of the root's same batch has to follow
	last      map[string]uint64 // that the end has; nil: not known yet
}

func (f *watchLog) expect(written []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = make(map[string]uint64)
	for i, revision := range written {
		f.last[watchedRoot(i)] = revision
	}
}

// follow takes events, and every so many of them goes on with a new watch at the
// token of the old one. It ends when it has seen the last event of each root.
func (f *watchLog) follow(ctx context.Context, c *appclient.Client, w *appclient.Watch) error {
	const each = 137 // odd: it ends within batches, too
	for {
		n := 0
		for ev, err := range w.Events(ctx) {
			if err != nil {
				return err
			}
			if done, err := f.take(&ev); done || err != nil {
				return err
			}
			if n++; n >= each && f.resumed < watchResumed {
				break
			}
		}
		f.resumed++
		w = c.Watch(appclient.WatchOptions{Prefix: "watched/", From: w.Token()})
	}
}

// take checks that an event is the next one of its root.
func (f *watchLog) take(ev *appclient.Event) (done bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events.Add(1)
	if ev.Root != "watched/end" {
		want := f.revisions[ev.Root] + 1
		path := "a"
		if f.half[ev.Root] {
			want, path = want-1, "b"
		}
		if ev.Revision != want || ev.Path != path || ev.Kind != appclient.Written || ev.More != (path == "a") {
			return false, fmt.Errorf("root %s: event %+v, want %q of revision %d", ev.Root, ev, path, want)
		}
		f.revisions[ev.Root], f.half[ev.Root] = ev.Revision, ev.More
	}
	for root, revision := range f.last {
		if f.revisions[root] < revision {
			return false, nil
		}
	}
	return f.last != nil, nil
}

// resumeByRevision reads the history of one root behind a revision.
func resumeByRevision(ctx context.Context, t *testing.T, c *appclient.Client, last uint64) {
	after := last - 10
	next := after + 1
	for ev, err := range c.Root(watchedRoot(1)).Watch(appclient.WatchOptions{AfterRevision: &after, Prefix: "b"}).Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Revision != next || ev.Path != "b" || ev.Superseded != (next < last) {
			t.Errorf("event %+v, want revision %d", ev, next)
		}
		if next++; next > last {
			break
		}
	}
	damaged := c.Root(watchedRoot(1)).Watch(appclient.WatchOptions{From: "x"})
	if err := damaged.Begin(ctx); !errors.Is(err, appclient.ErrInvalid) {
		t.Errorf("a token that is none: %v", err)
	}
}
