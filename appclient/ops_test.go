package appclient_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

func TestTTL(t *testing.T) {
	cl := cluster(t, appclienttest.Options{})
	c := dial(t, cl, nil)
	ctx := deadline(t)
	r := c.Root("r")
	if _, err := r.Put(ctx, "lock", []byte("mine"), appclient.WithTTL(time.Hour), appclient.IfAbsent()); err != nil {
		t.Fatal(err)
	}
	if o, err := r.Get(ctx, "lock"); err != nil || o.Expires.IsZero() {
		t.Errorf("Get before it expires: %+v, %v", o, err)
	}
	if _, err := r.Create(ctx, "lock", nil); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("Create of what is there: %v", err)
	}
	cl.Advance(time.Hour)
	if _, err := r.Get(ctx, "lock"); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("Get after it expired: %v", err)
	}
	if _, err := r.Create(ctx, "lock", []byte("yours")); err != nil {
		t.Errorf("Create of what expired: %v", err)
	}
	for _, ttl := range []time.Duration{-1, 0, 101 * 365 * 24 * time.Hour} {
		if _, err := r.Put(ctx, "lock", nil, appclient.WithTTL(ttl)); !errors.Is(err, appclient.ErrInvalid) {
			t.Errorf("Put with a TTL of %v: %v", ttl, err)
		}
	}
}

// TestCountOfZero: a counter that is 0 again has a count as any other.
func TestCountOfZero(t *testing.T) {
	r := dial(t, cluster(t, appclienttest.Options{}), nil).Root("r")
	for _, by := range []int64{5, -5} {
		res, err := r.Batch(deadline(t), appclient.Put("a", nil), appclient.Add("n", by))
		if err != nil || !slices.Equal(res.Counts, []int64{0, max(by, 0)}) {
			t.Errorf("%d added: %+v, %v", by, res, err)
		}
	}
}

func TestBatchMembers(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	r := c.Root("r")
	res, err := r.Batch(ctx, appclient.CheckRevision(0), appclient.Put("a", []byte("x")), appclient.Add("n", 5))
	if err != nil || res.Revision != 1 || !slices.Equal(res.Counts, []int64{0, 5}) {
		t.Fatalf("%+v, %v", res, err)
	}
	_, err = r.Batch(ctx, appclient.CheckRevision(0), appclient.Put("a", nil))
	if !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("an old revision: %v", err)
	}
	if _, err = r.Batch(ctx, appclient.Check("a", appclient.IfVersion(1)), appclient.Put("b", nil)); err != nil {
		t.Errorf("a check that holds: %v", err)
	}
	if _, err = r.Batch(ctx, appclient.Check("none", appclient.IfPresent()), appclient.Put("b", nil)); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("a check that fails: %v", err)
	}
	if rev, err := r.Revision(ctx); err != nil || rev != 2 {
		t.Errorf("revision %d, %v", rev, err)
	}
	if rev, err := c.Root("nothing").Revision(ctx); err != nil || rev != 0 {
		t.Errorf("revision of nothing: %d, %v", rev, err)
	}
}

func TestClientBatch(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	var batches []appclient.RootBatch
	for i := range 100 {
		batches = append(batches, appclient.RootBatch{Root: fmt.Sprint("root", i), Mutations: []appclient.Mutation{appclient.Put("p", fmt.Append(nil, i))}})
	}
	batches[7].Mutations[0] = appclient.Put("p", nil, appclient.IfPresent())
	batches[8].Root = ""
	out := c.Batch(ctx, batches...)
	for i, o := range out {
		want := map[int]error{7: appclient.ErrConflict, 8: appclient.ErrInvalid}[i]
		if !errors.Is(o.Err, want) || (o.Result != nil) != (want == nil) {
			t.Errorf("batch %d: %+v", i, o)
		}
	}
	if s := c.Stats(); s.Stanzas*2 > s.Operations {
		t.Errorf("%d stanzas for 100 roots: %+v", s.Stanzas, s)
	}
}

// TestIncrement: callers of one client who share a write get different values.
func TestIncrement(t *testing.T) {
	cl := cluster(t, appclienttest.Options{})
	c := dial(t, cl, nil)
	ctx := deadline(t)
	const callers, each = 32, 50
	seen := make(map[int64]bool)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			last := int64(0)
			for range each {
				v, err := c.Root("hits").Increment(ctx, "", 1)
				if err != nil || v <= last {
					t.Errorf("value %d after %d, %v", v, last, err)
					return
				}
				last = v
				mu.Lock()
				if seen[v] {
					t.Errorf("value %d twice", v)
				}
				seen[v] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if v, err := c.Root("hits").Increment(ctx, "", -callers*each); err != nil || v != 0 {
		t.Errorf("at the end %d, %v", v, err)
	}
	if n := len(cl.Applied()); n >= callers*each {
		t.Errorf("%d writes for %d increments: nothing was merged", n, callers*each)
	}
	if s := c.Stats(); s.Merged == 0 {
		t.Errorf("%+v", s)
	}
}

func TestIncrementConflicts(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	r := c.Root("r")
	if _, err := r.Put(ctx, "text", []byte("no number")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Increment(ctx, "text", 1); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("of a text: %v", err)
	}
	if _, err := r.Increment(ctx, "n", math.MaxInt64); err != nil {
		t.Errorf("to the highest: %v", err)
	}
	if _, err := r.Increment(ctx, "n", 1); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("beyond the highest: %v", err)
	}
	if _, err := r.Increment(ctx, "a\x00", 1); !errors.Is(err, appclient.ErrInvalid) {
		t.Errorf("of a bad path: %v", err)
	}
}

// TestMergedTooEarlyIsSeen: the tests of increments can see that a caller is told
// before its part is in the store.
func TestMergedTooEarlyIsSeen(t *testing.T) {
	for _, early := range []bool{false, true} {
		cl := cluster(t, appclienttest.Options{Fault: func(st appclienttest.Stanza) appclienttest.Fault {
			return appclienttest.Fault{DropRequest: st.Writes > 0}
		}})
		c, err := appclient.DialWith(deadline(t), cl.Config(), appclient.Faults{MergedTooEarly: early})
		if err != nil {
			t.Fatal(err)
		}
		within := time.Second // nothing ever comes
		if early {
			within = time.Minute
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		_, err = c.Root("r").Increment(ctx, "n", 1)
		cancel()
		c.Close() //nolint:errcheck // never fails
		if told := err == nil && len(cl.Applied()) == 0; told != early {
			t.Errorf("bug %v: told of an increment that is nowhere: %v, %v", early, told, err)
		}
	}
}
