package appclient_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// take returns the next n events of a watch as text.
func take(t *testing.T, w *appclient.Watch, n int) (events []string) {
	t.Helper()
	if n == 0 {
		return nil
	}
	for ev, err := range w.Events(deadline(t)) {
		if err != nil {
			t.Fatalf("after %d events: %v", len(events), err)
		}
		s := fmt.Sprintf("%s/%s %s %d %s", ev.Root, ev.Path, ev.Kind, ev.Revision, ev.Value)
		if ev.More {
			s += "+"
		}
		if ev.Superseded {
			s += "superseded"
		}
		if events = append(events, s); len(events) == n {
			break
		}
	}
	return events
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%q, want\n%q", what, got, want)
	}
}

func TestWatchRoot(t *testing.T) {
	for _, cut := range []bool{false, true} {
		watchRoot(t, cut)
	}
}

func watchRoot(t *testing.T, cut bool) {
	cl := cluster(t, appclienttest.Options{CutBatches: cut})
	c := dial(t, cl, nil)
	ctx := deadline(t)
	r := c.Root("r")
	put := func(path, value string, opts ...appclient.MutationOption) {
		t.Helper()
		if _, err := r.Put(ctx, path, []byte(value), opts...); err != nil {
			t.Fatal(err)
		}
	}
	put("a", "1")
	w := r.Watch(appclient.WatchOptions{})
	if err := w.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	put("b", "2")
	if _, err := r.Batch(ctx, appclient.Put("c", []byte("3")), appclient.Delete("a"), appclient.Delete("none")); err != nil {
		t.Fatal(err)
	}
	put("b", "4", appclient.WithTTL(time.Hour))
	if err := c.Root("another").Delete(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	same(t, "from now on", take(t, w, 4), "r/b written 2 superseded", "r/c written 3 3+", "r/a deleted 3 ", "r/b written 4 4")
	done := make(chan []string)
	go func() { done <- take(t, w, 1) }() // it waits
	cl.Advance(time.Hour)
	same(t, "expiry", <-done, "r/b expired 5 ")
	from := uint64(2)
	same(t, "behind a revision", take(t, r.Watch(appclient.WatchOptions{AfterRevision: &from}), 3), "r/c written 3 3+", "r/a deleted 3 ", "r/b written 4 superseded")
	same(t, "of a prefix", take(t, r.Watch(appclient.WatchOptions{AfterRevision: new(uint64), Prefix: "a"}), 2), "r/a written 1 superseded", "r/a deleted 3 ")

	// A token says exactly where: also between two events of a batch.
	w = r.Watch(appclient.WatchOptions{AfterRevision: new(uint64)})
	all := take(t, w, 6)
	for n := range len(all) + 1 {
		w := r.Watch(appclient.WatchOptions{AfterRevision: new(uint64), PageSize: 1})
		if err := w.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		first := take(t, w, n)
		rest := take(t, r.Watch(appclient.WatchOptions{From: w.Token()}), len(all)-n)
		same(t, fmt.Sprint("resumed behind ", n), slices.Concat(first, rest), all...)
	}
}

// rounds writes to many roots, several times.
func rounds(t *testing.T, c *appclient.Client, roots, rounds int) (want map[string]int) {
	t.Helper()
	want = make(map[string]int)
	var wg sync.WaitGroup
	for i := range roots {
		name := fmt.Sprint("w/", i)
		want[name] = rounds
		wg.Go(func() {
			for n := range rounds {
				if _, err := c.Root(name).Put(deadline(t), "p", fmt.Append(nil, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return want
}

// collect follows a watch until it has seen all that is wanted, once and in order.
func collect(t *testing.T, w *appclient.Watch, want map[string]int, each func(n int) bool) (seen map[string]int, err error) {
	seen = make(map[string]int)
	total, n := 0, 0
	for _, k := range want {
		total += k
	}
	for ev, err := range w.Events(deadline(t)) {
		if err != nil {
			return seen, err
		}
		if seen[ev.Root]++; uint64(seen[ev.Root]) != ev.Revision {
			return seen, fmt.Errorf("root %s: event %d has revision %d", ev.Root, seen[ev.Root], ev.Revision)
		}
		if n++; n == total || each != nil && !each(n) {
			break
		}
	}
	return seen, nil
}

// TestWatchSurvives: streams break, leaders change, partitions move and nodes go
// while a prefix is watched; each event comes once.
func TestWatchSurvives(t *testing.T) {
	cl := cluster(t, appclienttest.Options{Nodes: 5, Partitions: 8})
	c, other := dial(t, cl, quick), dial(t, cl, quick)
	w := c.Watch(appclient.WatchOptions{Prefix: "w/", PageSize: 2})
	if err := w.Begin(deadline(t)); err != nil {
		t.Fatal(err)
	}
	var want map[string]int
	var wg sync.WaitGroup
	wg.Go(func() { want = rounds(t, other, 16, 10) })
	trouble := []func(){
		cl.DropStreams, cl.Move, func() { cl.SetOnline(0, false) }, func() { cl.Lead(1) }, cl.Move, func() { cl.SetOnline(0, true) }, cl.DropStreams,
	}
	total := map[string]int{"": 160}
	seen, err := collect(t, w, total, func(n int) bool {
		if n%20 == 0 && n/20 <= len(trouble) {
			trouble[n/20-1]()
		}
		return true
	})
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range want {
		if seen[name] != n {
			t.Errorf("%s: %d events of %d", name, seen[name], n)
		}
	}
}

// resumed watches from a token on, and returns how many events of each root it
// told until the last of each.
func resumed(t *testing.T, f appclient.Faults) map[string]int {
	cl := cluster(t, appclienttest.Options{Partitions: 8})
	c, err := appclient.DialWith(deadline(t), cl.Config(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // never fails
	w := c.Watch(appclient.WatchOptions{Prefix: "w/"})
	if err := w.Begin(deadline(t)); err != nil {
		t.Fatal(err)
	}
	names := rounds(t, c, 32, 2) // some in each partition
	w = c.Watch(appclient.WatchOptions{Prefix: "w/", From: w.Token()})
	if err := w.Begin(deadline(t)); err != nil {
		t.Fatal(err)
	}
	for name := range names {
		if _, err := c.Root(name).Put(deadline(t), "end", nil); err != nil {
			t.Fatal(err)
		}
	}
	told, ends := make(map[string]int), 0
	for ev, err := range w.Events(deadline(t)) {
		if err != nil {
			t.Fatal(err)
		}
		told[ev.Root]++
		if ev.Path == "end" {
			if ends++; ends == len(names) {
				break
			}
		}
	}
	return told
}

func TestWatchResumes(t *testing.T) {
	for name, n := range resumed(t, appclient.Faults{}) {
		if n != 3 {
			t.Errorf("%s: %d events of 3", name, n)
		}
	}
	skipped := false
	for _, n := range resumed(t, appclient.Faults{WatchSkips: true}) {
		skipped = skipped || n != 3
	}
	if !skipped {
		t.Error("a token that loses a partition does no harm that the test can see")
	}
}

func TestWatchErrors(t *testing.T) {
	cl := cluster(t, appclienttest.Options{})
	c := dial(t, cl, nil)
	ctx := deadline(t)
	r := c.Root("r")
	if _, err := r.Put(ctx, "a", nil); err != nil {
		t.Fatal(err)
	}
	begun := func(w *appclient.Watch) appclient.Token {
		if err := w.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		return w.Token()
	}
	token := begun(r.Watch(appclient.WatchOptions{}))
	for name, tc := range map[string]struct {
		w    *appclient.Watch
		want error
	}{
		"an index of a root":     {r.Watch(appclient.WatchOptions{Index: "x"}), appclient.ErrInvalid},
		"a revision of many":     {c.Watch(appclient.WatchOptions{AfterRevision: new(uint64)}), appclient.ErrInvalid},
		"an index with a prefix": {c.Watch(appclient.WatchOptions{Index: "x", Prefix: "y"}), appclient.ErrInvalid},
		"an index there is not":  {c.Watch(appclient.WatchOptions{Index: "x"}), appclient.ErrNotFound},
		"a token of another":     {c.Root("s").Watch(appclient.WatchOptions{From: token}), appclient.ErrInvalid},
		"no token":               {r.Watch(appclient.WatchOptions{From: "AAAA"}), appclient.ErrInvalid},
		"a damaged token":        {r.Watch(appclient.WatchOptions{From: "B" + token[1:]}), appclient.ErrInvalid},
	} {
		for _, err := range tc.w.Events(ctx) {
			if !errors.Is(err, tc.want) {
				t.Errorf("%s: %v, want %v", name, err, tc.want)
			}
		}
	}
	if _, err := r.Put(ctx, "b", nil); err != nil {
		t.Fatal(err)
	}
	cl.Compact()
	for name, w := range map[string]*appclient.Watch{
		"a token":    r.Watch(appclient.WatchOptions{From: token}),
		"a revision": r.Watch(appclient.WatchOptions{AfterRevision: new(uint64)}),
	} {
		for _, err := range w.Events(ctx) {
			if !errors.Is(err, appclient.ErrCompacted) {
				t.Errorf("%s of what is forgotten: %v", name, err)
			}
		}
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range r.Watch(appclient.WatchOptions{AfterRevision: ptr(2)}).Events(short) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a watch that is called off: %v", err)
		}
	}
}

// TestWatchCallsOff: when a watch ends, the nodes are told that its questions need
// no answer any more. The seeded fault keeps silent.
func TestWatchCallsOff(t *testing.T) {
	for _, fault := range []bool{false, true} {
		var mu sync.Mutex
		asked, off := 0, 0
		count := func() (int, int) {
			mu.Lock()
			defer mu.Unlock()
			return asked, off
		}
		cl := cluster(t, appclienttest.Options{Nodes: 1, Partitions: 16, Fault: func(s appclienttest.Stanza) (f appclienttest.Fault) {
			mu.Lock()
			defer mu.Unlock()
			asked, off = asked+s.Changes, off+s.Cancels
			return f
		}})
		c, err := appclient.DialWith(deadline(t), cl.Config(), appclient.Faults{WatchesAbandoned: fault})
		if err != nil {
			t.Fatal(err)
		}
		w := c.Watch(appclient.WatchOptions{})
		if err := w.Begin(deadline(t)); err != nil {
			t.Fatal(err)
		}
		done := make(chan []string)
		go func() { done <- take(t, w, 1) }()
		ctx := deadline(t)
		for n := 0; n < 16; n, _ = count() {
			if ctx.Err() != nil {
				t.Fatalf("%d questions", n)
			}
			time.Sleep(time.Millisecond) // the pause of a poll
		}
		if _, err := c.Root("r").Put(deadline(t), "", nil); err != nil {
			t.Fatal(err)
		}
		<-done
		// What is asked now comes after what was said when the watch ended.
		if _, err := c.Root("r").Get(deadline(t), ""); err != nil {
			t.Fatal(err)
		}
		want := 15 // one was answered
		if fault {
			want = 0
		}
		if _, n := count(); n != want {
			t.Errorf("fault %v: %d of 16 questions were called off, want %d", fault, n, want)
		}
		_ = c.Close() // never fails
	}
}

func ptr(v uint64) *uint64 { return &v }

func TestWatchIndex(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{Indexes: []appclienttest.Index{{Name: "tag", Prefix: "doc/", Path: "*", Field: "tag"}}}), nil)
	ctx := deadline(t)
	w := c.Watch(appclient.WatchOptions{Index: "tag"})
	if err := w.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	r := c.Root("doc/1")
	for _, v := range []string{`{}`, `{"tag":"x"}`, `{"tag":"y"}`, `{"tag":{}}`, `{"tag":1}`} {
		if _, err := r.Put(ctx, "p", []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Delete(ctx, "p"); err != nil {
		t.Fatal(err)
	}
	same(t, "events of an index", take(t, w, 5), "doc/1/p written 2 superseded", "doc/1/p written 3 superseded", "doc/1/p left 4 ", "doc/1/p written 5 superseded", "doc/1/p deleted 6 ")
}

// TestWatchLargeValues: a value that finds no room in an answer is read apart.
func TestWatchLargeValues(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{MaxStanza: 16 << 10}), nil)
	ctx := deadline(t)
	w := c.Root("r").Watch(appclient.WatchOptions{})
	if err := w.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	big := value("r", "p", 50000)
	if _, err := c.Root("r").Put(ctx, "p", big); err != nil {
		t.Fatal(err)
	}
	for ev, err := range w.Events(ctx) {
		if err != nil || string(ev.Value) != string(big) {
			t.Errorf("%d bytes, %v", len(ev.Value), err)
		}
		break
	}
}

// TestWatchLate: a consumer that comes late finds all values, though the client
// has no room for them meanwhile.
func TestWatchLate(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	c.SetRoom(64 << 10)
	ctx := deadline(t)
	w := c.Watch(appclient.WatchOptions{Prefix: "s/"})
	if err := w.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	const size = 3000
	names := fill(t, c, 40, 4, size)
	seen := 0
	for ev, err := range w.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if string(ev.Value) != string(value(ev.Root, ev.Path, size)) {
			t.Errorf("%s %s: %d bytes", ev.Root, ev.Path, len(ev.Value))
		}
		if seen++; seen == len(names) {
			break
		}
	}
}

// TestWatchWithinEntry: an entry of the log may have several revisions of a root: what
// has expired, and what is written then. A watch may be resumed between any two events.
func TestWatchWithinEntry(t *testing.T) {
	for _, cut := range []bool{false, true} {
		if err := watchWithinEntry(t, appclient.Faults{}, cut); err != nil {
			t.Errorf("cut %v: %v", cut, err)
		}
	}
	if err := watchWithinEntry(t, appclient.Faults{WatchMixesUp: true}, false); err == nil {
		t.Error("the seeded fault was not noticed")
	}
}

func watchWithinEntry(t *testing.T, f appclient.Faults, cut bool) error {
	t.Helper()
	cl := cluster(t, appclienttest.Options{CutBatches: cut})
	c, err := appclient.DialWith(deadline(t), cl.Config(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // never fails
	r := c.Root("r")
	batch := func(muts ...appclient.Mutation) {
		t.Helper()
		if _, err := r.Batch(deadline(t), muts...); err != nil {
			t.Fatal(err)
		}
	}
	batch(appclient.Put("lock", nil, appclient.WithTTL(time.Hour)), appclient.Put("lease", nil, appclient.WithTTL(time.Hour)))
	cl.Pass(2 * time.Hour)
	batch(appclient.Put("x", nil), appclient.Put("y", nil))
	batch(appclient.Put("z", nil))
	all := []string{"r/lease expired 2 ", "r/lock expired 3 ", "r/x written 4 +", "r/y written 4 ", "r/z written 5 "}
	for revision, behind := range map[uint64]int{1: 0, 2: 1, 3: 2, 4: 4} {
		want := all[behind:]
		for n := range len(want) {
			w := r.Watch(appclient.WatchOptions{AfterRevision: &revision, PageSize: 1})
			if err := w.Begin(deadline(t)); err != nil {
				t.Fatal(err)
			}
			first := take(t, w, n)
			rest := take(t, r.Watch(appclient.WatchOptions{From: w.Token(), PageSize: 1}), len(want)-n)
			got := slices.Concat(first, rest)
			if cut { // where a page ends within an entry nobody knows yet whether the batch goes on
				for i := range got {
					got[i] = strings.TrimSuffix(got[i], "+")
				}
				want = slices.Clone(want)
				for i := range want {
					want[i] = strings.TrimSuffix(want[i], "+")
				}
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("behind revision %d, resumed behind %d: %q, want %q", revision, n, got, want)
			}
		}
	}
	return nil
}
