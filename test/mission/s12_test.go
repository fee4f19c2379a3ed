package mission

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkWrites shows the kinds of writes: objects that expire, create-only,
// conditional delete, counters, transactions, and batches over many roots that
// split themselves by owner.
func checkWrites(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary})
	client, other := harness.Dial(t, c, nil), harness.Dial(t, c, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	t.Run("TTL", func(t *testing.T) { expires(ctx, t, client, other) })
	t.Run("Conditions", func(t *testing.T) { conditions(ctx, t, client.Root("conditions")) })
	t.Run("Counters", func(t *testing.T) { counters(ctx, t, client, other) })
	t.Run("Transactions", func(t *testing.T) { transactions(ctx, t, client, other) })
	t.Run("ManyRoots", func(t *testing.T) { manyRoots(ctx, t, client) })
}

// expires takes a lock that falls open by itself.
func expires(ctx context.Context, t *testing.T, client, other *appclient.Client) {
	lock := client.Root("lock")
	if _, err := lock.Create(ctx, "", []byte("mine"), appclient.WithTTL(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Root("lock").Create(ctx, "", []byte("theirs")); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("a lock that is taken: %v", err)
	}
	if o, err := lock.Get(ctx, ""); err != nil || o.Expires.IsZero() {
		t.Errorf("%+v, %v", o, err)
	}
	v, err := lock.Put(ctx, "", []byte("mine"), appclient.WithTTL(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	// Nobody writes: it goes by itself, as a change of its own.
	harness.Eventually(t, time.Minute, "the expiry", func() bool {
		_, err := other.Root("lock").Get(ctx, "")
		return errors.Is(err, appclient.ErrNotFound)
	})
	harness.Eventually(t, time.Minute, "the change", func() bool {
		revision, err := lock.Revision(ctx)
		return err == nil && revision == v+1
	})
	if _, err := other.Root("lock").Create(ctx, "", []byte("theirs")); err != nil {
		t.Errorf("a lock that fell open: %v", err)
	}
}

func conditions(ctx context.Context, t *testing.T, r appclient.Root) {
	v, err := r.Create(ctx, "a", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.Create(ctx, "a", []byte("2")); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("create what is there: %v", err)
	}
	if err = r.Delete(ctx, "a", appclient.IfVersion(v+1)); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("delete another version: %v", err)
	}
	if _, err = r.Batch(ctx, appclient.CheckRevision(v+1), appclient.Put("b", nil)); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("a batch on another revision: %v", err)
	}
	if _, err = r.Batch(ctx, appclient.Check("a", appclient.IfVersion(v)), appclient.Put("b", nil)); err != nil {
		t.Errorf("a batch with a check: %v", err)
	}
	if err = r.Delete(ctx, "a", appclient.IfVersion(v)); err != nil {
		t.Errorf("delete that version: %v", err)
	}
}

// counters adds from many goroutines of two clients.
func counters(ctx context.Context, t *testing.T, clients ...*appclient.Client) {
	const adders, each = 16, 50
	var wg sync.WaitGroup
	for i := range adders {
		wg.Go(func() {
			for range each {
				if _, err := clients[i%len(clients)].Root("count").Increment(ctx, "", 1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n, err := clients[0].Root("count").Increment(ctx, "", 0); err != nil || n != adders*each {
		t.Errorf("%d of %d, %v", n, adders*each, err)
	}
	if s := clients[0].Stats(); s.Merged == 0 {
		t.Errorf("no two increments shared a write: %+v", s)
	}
}

// transactions moves an amount to and fro between two objects.
func transactions(ctx context.Context, t *testing.T, clients ...*appclient.Client) {
	if _, err := clients[0].Root("bank").Batch(ctx, appclient.Put("a", []byte("100")), appclient.Put("b", []byte("100"))); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 10 {
				err := clients[i%len(clients)].Root("bank").Update(ctx, func(tx *appclient.Tx) error {
					for path, by := range map[string]int{"a": 1 - i%2*2, "b": i%2*2 - 1} {
						o, err := tx.Get(path)
						if err != nil {
							return err
						}
						n, err := strconv.Atoi(string(o.Value))
						if err != nil {
							return err
						}
						tx.Put(path, strconv.AppendInt(nil, int64(n+by), 10))
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, path := range []string{"a", "b"} {
		if o, err := clients[0].Root("bank").Get(ctx, path); err != nil || string(o.Value) != "100" {
			t.Errorf("%s: %s, %v", path, o.Value, err)
		}
	}
}

// manyRoots writes to many roots in one call; two of the batches fail for themselves.
func manyRoots(ctx context.Context, t *testing.T, client *appclient.Client) {
	var batches []appclient.RootBatch
	owners := make(map[string]bool)
	for i := range 200 {
		name := fmt.Sprint("many/", i)
		owners[client.Where(name).Leader] = true
		batches = append(batches, appclient.RootBatch{Root: name, Mutations: []appclient.Mutation{appclient.Put("", []byte(name))}})
	}
	batches[50].Mutations[0] = appclient.Put("", nil, appclient.IfPresent())
	batches[60].Mutations[0] = appclient.Put("control\ncharacter", nil)
	for i, o := range client.Batch(ctx, batches...) {
		want := map[int]error{50: appclient.ErrConflict, 60: appclient.ErrInvalid}[i]
		if !errors.Is(o.Err, want) || (want == nil) != (o.Result != nil) {
			t.Errorf("batch %d: %+v", i, o)
		}
	}
	if len(owners) < 2 {
		t.Errorf("all roots have one owner: %v", owners)
	}
	if o, err := client.Root("many/199").Get(ctx, ""); err != nil || string(o.Value) != "many/199" {
		t.Errorf("%v, %v", o, err)
	}
}
