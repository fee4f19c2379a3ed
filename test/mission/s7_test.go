package mission

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkUnknownOutcomes loses all answers to a client's writes: it is told that the
// outcome is unknown, not that the write failed, and an id. Then the client
// crashes, and the leader with it; under the id, another client of the account is told
// what became of each write, and what was told never to be applied never is.
func checkUnknownOutcomes(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, InsecurePlaintext: true})
	w := tap(t, c.Info().Servers[0].C2S)
	defer w.close()
	app := harness.Dial(t, c, func(cfg *appclient.Config) { cfg.Addrs = []string{w.addr()} })
	later := harness.Dial(t, c, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	root := app.Root("unknown")
	if _, err := root.Put(ctx, "there", nil); err != nil {
		t.Fatal(err)
	}
	recorded, err := root.NewOp(ctx) // as an application does before it writes
	if err != nil {
		t.Fatal(err)
	}
	unsent, err := root.NewOp(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.WithOp(recorded).Put(ctx, "recorded", []byte("1")); err != nil {
		t.Fatal(err)
	}

	w.dropReceipts(func(int) bool { return true })
	applied := loses(t, root, "applied")
	refused := loses(t, root, "there", appclient.IfAbsent())
	w.dropReceipts(nil)
	if _, err := root.Put(ctx, "there", nil, appclient.IfAbsent()); !errors.Is(err, appclient.ErrConflict) || errors.Is(err, appclient.ErrUnknownOutcome) {
		t.Errorf("a write that surely did not happen: %v", err)
	}
	victim := nodeID(app.Where("unknown").Leader)
	if err := app.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(victim); err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		what string
		id   appclient.OpID
		want appclient.State
	}{
		{"a write whose answer was lost", applied, appclient.Applied},
		{"a refusal that was lost", refused, appclient.Refused},
		{"a write that was recorded before", recorded, appclient.Applied},
		{"a write that was never sent", unsent, appclient.NeverApplied},
		{"the same, again", unsent, appclient.NeverApplied},
	} {
		id, err := appclient.ParseOpID(q.id.String()) // from the application's log
		if err != nil {
			t.Fatal(err)
		}
		out, err := later.Status(ctx, id)
		if err != nil || out.State != q.want {
			t.Errorf("%s: %+v, %v; want %s", q.what, out, err, q.want)
		}
	}
	if _, err := later.Root("unknown").WithOp(unsent).Put(ctx, "late", nil); !errors.Is(err, appclient.ErrUnavailable) || errors.Is(err, appclient.ErrUnknownOutcome) {
		t.Errorf("a late copy of what was told never to be applied: %v", err)
	}
	if _, err := later.Root("unknown").Get(ctx, "late"); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("it was applied: %v", err)
	}
	if _, err := later.Root("unknown").Get(ctx, "applied"); err != nil {
		t.Errorf("what was told to be applied: %v", err)
	}
	if err := c.Restart(t.Context(), victim); err != nil {
		t.Fatal(err)
	}
}

// loses writes while all answers get lost, and returns the id of the write.
func loses(t *testing.T, root appclient.Root, path string, opts ...appclient.MutationOption) appclient.OpID {
	t.Helper()
	// Long enough for the write to be applied, however slow the machine: if it is
	// not, Status says so, and the test fails for that.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := root.Put(ctx, path, []byte("v"), opts...)
	id, ok := appclient.OpOf(err)
	if !ok || !errors.Is(err, appclient.ErrUnknownOutcome) || errors.Is(err, appclient.ErrUnavailable) || errors.Is(err, appclient.ErrConflict) {
		t.Fatalf("a write without an answer: %v", err)
	}
	return id
}
