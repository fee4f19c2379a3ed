package appclient_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// TestConditionsContradict: of two conditions none is dropped; the write is refused
// and nothing is applied.
func TestConditionsContradict(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	r := c.Root("r")
	version, err := r.Put(ctx, "a", []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	absent, present := appclient.IfAbsent(), appclient.IfPresent()
	batch := func(m ...appclient.Mutation) error {
		_, err := r.Batch(ctx, m...)
		return err
	}
	update := func(do func(tx *appclient.Tx)) error {
		return r.Update(ctx, func(tx *appclient.Tx) error { do(tx); return nil })
	}
	for name, write := range map[string]func() error{
		"absent and present": func() error { return batch(appclient.Put("a", nil, absent, present)) },
		"present and absent": func() error { return batch(appclient.Delete("a", present, absent)) },
		"two versions":       func() error { return batch(appclient.Add("n", 1, appclient.IfVersion(1), appclient.IfVersion(2))) },
		"among many roots": func() error {
			return c.Batch(ctx, appclient.RootBatch{Root: "r", Mutations: []appclient.Mutation{appclient.Put("a", nil, absent, present)}})[0].Err
		},
		"two revisions": func() error {
			return batch(appclient.CheckRevision(7), appclient.CheckRevision(version), appclient.Put("a", nil))
		},
		"of Create":            func() error { _, err := r.Create(ctx, "b", nil, present); return err },
		"of CompareAndSwap":    func() error { _, err := r.CompareAndSwap(ctx, "a", version, nil, absent); return err },
		"of a swap of nothing": func() error { _, err := r.CompareAndSwap(ctx, "b", 0, nil, present); return err },
		"in a transaction": func() error {
			return update(func(tx *appclient.Tx) { tx.Put("a", nil, present); tx.Put("a", nil, absent) })
		},
		"in a transaction's put": func() error { return update(func(tx *appclient.Tx) { tx.Put("a", nil, present, absent) }) },
	} {
		if err := write(); !errors.Is(err, appclient.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if o, err := r.Get(ctx, "a"); err != nil || string(o.Value) != "old" {
		t.Errorf("afterwards: %v, %v", o, err)
	}
	for name, err := range map[string]error{
		"the same twice":         batch(appclient.Put("c", nil, absent, absent)),
		"version 0 is no object": batch(appclient.Put("d", nil, absent, appclient.IfVersion(0)), appclient.CheckRevision(2), appclient.CheckRevision(2)),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A condition stays when the object is put again.
	if err := update(func(tx *appclient.Tx) { tx.Put("a", nil, absent); tx.Put("a", nil) }); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("put twice, the first time with a condition that does not hold: %v", err)
	}
}

// TestRefusedBeforeSent: what makes no sense is ErrInvalid, with what is wrong.
func TestRefusedBeforeSent(t *testing.T) {
	cl := cluster(t, appclienttest.Options{Indexes: []appclienttest.Index{{Name: "i", Field: "f"}}})
	c := dial(t, cl, nil)
	ctx := deadline(t)
	r := c.Root("r")
	get := func(o appclient.ReadOption) error { _, err := r.Get(ctx, "p", o); return err }
	put := func(d time.Duration) error { _, err := r.Put(ctx, "p", nil, appclient.WithTTL(d)); return err }
	query := func(q appclient.Query) (err error) {
		q.Index = "i"
		for _, err = range c.Query(ctx, q) {
			break
		}
		return err
	}
	update := func(do func(tx *appclient.Tx)) error {
		return r.Update(ctx, func(tx *appclient.Tx) error { do(tx); return nil })
	}
	list := func(o appclient.ReadOption) (err error) {
		for _, err = range r.List(ctx, appclient.ListOptions{Read: o}) {
			break
		}
		return err
	}
	scan := func(o appclient.ReadOption) (err error) {
		for _, err = range c.Scan(ctx, appclient.ScanOptions{Read: o}) {
			break
		}
		return err
	}
	const day = 24 * time.Hour
	_, revision := r.Revision(ctx, appclient.Stale(-1))
	for _, tc := range []struct {
		name, want string
		err        error
	}{
		{"life of nothing", `time to live 0s of "p"`, put(0)},
		{"life below 0", `time to live -1ns of "p"`, put(-1)},
		{"life of ages", "at most 100 years", put(math.MaxInt64)},
		{"put and add", `"x" is added to and also put`, update(func(tx *appclient.Tx) { tx.Put("x", nil); tx.Add("x", 1) })},
		{"add and put", `"x" is added to and also put`, update(func(tx *appclient.Tx) { tx.Add("x", 1); tx.Put("x", nil) })},
		{"add and delete", `"x" is added to and also put`, update(func(tx *appclient.Tx) { tx.Add("x", 1); tx.Delete("x"); tx.Add("x", 1) })},
		{"sum", "does not fit", update(func(tx *appclient.Tx) { tx.Add("x", 1); tx.Add("x", math.MaxInt64) })},
		{"stale below 0", "0 to 24h0m0s are possible", get(appclient.Stale(-1))},
		{"too stale", "0 to 24h0m0s are possible", get(appclient.Stale(day + 1))},
		{"stale list", "0 to 24h0m0s are possible", list(appclient.Stale(-1))},
		{"stale scan", "0 to 24h0m0s are possible", scan(appclient.Stale(-1))},
		{"stale query", "0 to 24h0m0s are possible", query(appclient.Query{Read: appclient.Stale(-1)})},
		{"stale revision", "0 to 24h0m0s are possible", revision},
		{"bounds", "nothing is from 2 to 1", query(appclient.Query{From: appclient.NumberKey(2), To: appclient.NumberKey(1)})},
		{"kinds of bounds", "nothing is from x to true", query(appclient.Query{From: appclient.StringKey("x"), To: appclient.BoolKey(true), Desc: true})},
		{"limit", "a limit of -1 objects", query(appclient.Query{Limit: -1})},
	} {
		if !errors.Is(tc.err, appclient.ErrInvalid) || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, tc.err, tc.want)
		}
	}
	if err := get(appclient.Stale(day)); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("stale by a day: %v", err)
	}
	if err := query(appclient.Query{From: appclient.NumberKey(1), To: appclient.NumberKey(1)}); err != nil {
		t.Errorf("equality: %v", err)
	}
	if n := len(cl.Applied()); n != 0 {
		t.Errorf("%d writes were applied", n)
	}
}

// TestLongNamesInErrors: a name that is too long is not repeated in full.
func TestLongNamesInErrors(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	long := strings.Repeat("ä", 2500)
	_, put := c.Root(long).Put(ctx, "p", nil)
	_, get := c.Root(long).Get(ctx, "p")
	watch := c.Root(long).Watch(appclient.WatchOptions{}).Begin(ctx)
	var scan error
	for _, scan = range c.Scan(ctx, appclient.ScanOptions{Prefix: long}) {
		break
	}
	for i, err := range []error{put, get, watch, scan} {
		if !errors.Is(err, appclient.ErrInvalid) || len(err.Error()) > 200 || !strings.Contains(err.Error(), "5000 bytes") {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestConflictSaysWhatWasWanted: the message names the condition that did not hold.
func TestConflictSaysWhatWasWanted(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	r := c.Root("r")
	if _, err := r.Put(ctx, "a", nil); err != nil {
		t.Fatal(err)
	}
	put := func(path string, o appclient.MutationOption) error { _, err := r.Put(ctx, path, nil, o); return err }
	seen := r.Update(ctx, func(tx *appclient.Tx) error {
		_, err := tx.Get("a")
		tx.Put("a", nil, appclient.IfVersion(8))
		return err
	})
	for _, tc := range []struct {
		err  error
		want string
	}{
		{put("a", appclient.IfAbsent()), "has version 1; it was to be absent"},
		{put("a", appclient.IfVersion(0)), "has version 1; it was to be absent"},
		{put("a", appclient.IfVersion(99)), "has version 1; it was to have version 99"},
		{put("b", appclient.IfPresent()), "does not exist; it was to be present"},
		{seen, "has version 1; it was to have version 8"},
	} {
		if !errors.Is(tc.err, appclient.ErrConflict) || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%v, want %q", tc.err, tc.want)
		}
	}
}

// TestWatchBeginFails: a watch that could tell nothing, or only what was before,
// says so at its beginning.
func TestWatchBeginFails(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{Indexes: []appclienttest.Index{{Name: "i", Field: "f"}}}), nil)
	ctx := deadline(t)
	r := c.Root("r")
	if _, err := r.Put(ctx, "a", nil); err != nil {
		t.Fatal(err)
	}
	begin := func(w *appclient.Watch) error { return w.Begin(ctx) }
	after := func(revision uint64) *appclient.Watch {
		return r.Watch(appclient.WatchOptions{AfterRevision: &revision})
	}
	if err := begin(c.Watch(appclient.WatchOptions{Index: "i"})); err != nil {
		t.Errorf("an index: %v", err)
	}
	if err := begin(c.Watch(appclient.WatchOptions{Index: "zz"})); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("no such index: %v", err)
	}
	for _, revision := range []uint64{0, 1} {
		if err := begin(after(revision)); err != nil {
			t.Errorf("after revision %d of 1: %v", revision, err)
		}
	}
	err := begin(after(2))
	if !errors.Is(err, appclient.ErrCompacted) {
		t.Errorf("after revision 2 of 1: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := after(1).Begin(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}
