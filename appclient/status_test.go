package appclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"github.com/rosterdb/rosterdb/internal/op"
)

// rig is a cluster whose fault for writes can be changed, and a client of it.
type rig struct {
	*appclienttest.Cluster
	*appclient.Client

	mu    sync.Mutex
	fault appclienttest.Fault
	dealt int // requests with writes that were dealt with
}

func faulty(t *testing.T, f appclient.Faults) *rig {
	t.Helper()
	r := &rig{}
	r.Cluster = cluster(t, appclienttest.Options{Partitions: 4, Fault: r.next})
	var err error
	if r.Client, err = appclient.DialWith(deadline(t), r.Config(), f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Client.Close() }) //nolint:errcheck // never fails
	return r
}

func (r *rig) next(st appclienttest.Stanza) appclienttest.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	if st.Writes == 0 {
		return appclienttest.Fault{}
	}
	r.dealt++
	return r.fault
}

func (r *rig) set(f appclienttest.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

// requests counts those with writes that have been dealt with.
func (r *rig) requests() int {
	r.Applied() // waits for the one that is being dealt with
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dealt
}

// unknownPut writes under the fault, and gives up when the request was dealt with.
func (r *rig) unknownPut(t *testing.T, path string, opts ...appclient.MutationOption) appclient.OpID {
	t.Helper()
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	before := r.requests()
	result := make(chan error, 1)
	go func() {
		_, err := r.Root("r").Put(ctx, path, []byte("v"), opts...)
		result <- err
	}()
	until(t, "the request", func() bool { return r.requests() > before })
	cancel()
	err := <-result
	id, ok := appclient.OpOf(err)
	if !errors.Is(err, appclient.ErrUnknownOutcome) || !ok {
		t.Fatalf("Put: %v", err)
	}
	return id
}

func status(t *testing.T, c *appclient.Client, id appclient.OpID) *appclient.Outcome {
	t.Helper()
	out, err := c.Status(deadline(t), id)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStatus(t *testing.T) {
	rig := faulty(t, appclient.Faults{})
	cl, c, set := rig.Cluster, rig.Client, rig.set
	set(appclienttest.Fault{DropAnswer: true})
	applied := rig.unknownPut(t, "a")
	refused := rig.unknownPut(t, "a", appclient.IfAbsent())
	set(appclienttest.Fault{DropRequest: true})
	lost := rig.unknownPut(t, "b")
	set(appclienttest.Fault{})
	for range 3 { // the floor of the session must not rise over them
		if _, err := c.Root("r").Put(deadline(t), "c", nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, who := range []*appclient.Client{c, dial(t, cl, nil)} { // the second as after a crash
		if out := status(t, who, applied); out.State != appclient.Applied || out.Result.Versions[0] != 1 {
			t.Errorf("of what was applied: %+v", out)
		}
		if out := status(t, who, refused); out.State != appclient.Refused || out.Refusals[0] != 1 {
			t.Errorf("of what was refused: %+v", out)
		}
		if out := status(t, who, lost); out.State != appclient.NeverApplied {
			t.Errorf("of what was lost: %+v", out)
		}
	}
	// What was told never to be applied is not, whoever sends it again.
	if _, err := c.Root("r").WithOp(lost).Put(deadline(t), "b", []byte("v")); !errors.Is(err, appclient.ErrUnavailable) {
		t.Errorf("a late copy: %v", err)
	}
	if _, err := c.Root("r").Get(deadline(t), "b"); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("a late copy was applied: %v", err)
	}
	c.Release(applied)
	c.Release(refused)
	if _, err := c.Root("r").WithOp(lost).Put(deadline(t), "d", nil); !errors.Is(err, appclient.ErrUnavailable) {
		t.Errorf("again: %v", err)
	}
	c.Release(lost)
	if _, err := c.Root("r").Put(deadline(t), "c", nil); err != nil {
		t.Fatal(err)
	}
	if out := status(t, c, applied); out.State != appclient.Forgotten {
		t.Errorf("after its release: %+v", out)
	}
}

// TestFloorPassesUnknownIsSeen: without the hold, Status cannot tell.
func TestFloorPassesUnknownIsSeen(t *testing.T) {
	rig := faulty(t, appclient.Faults{FloorPassesUnknown: true})
	c, set := rig.Client, rig.set
	set(appclienttest.Fault{DropAnswer: true})
	id := rig.unknownPut(t, "a")
	set(appclienttest.Fault{})
	if _, err := c.Root("r").Put(deadline(t), "c", nil); err != nil {
		t.Fatal(err)
	}
	if out := status(t, c, id); out.State != appclient.Forgotten {
		t.Errorf("a floor that passes unknown writes does no harm that the tests can see: %+v", out)
	}
}

// TestStatusAfterManyWrites: however many writes follow, and however busy the
// session is, what was unknown can be told.
func TestStatusAfterManyWrites(t *testing.T) {
	rig := faulty(t, appclient.Faults{})
	c, set := rig.Client, rig.set
	set(appclienttest.Fault{DropAnswer: true})
	id := rig.unknownPut(t, "a")
	set(appclienttest.Fault{})
	var batches []appclient.RootBatch
	for i := range 2000 {
		batches = append(batches, appclient.RootBatch{Root: "r", Mutations: []appclient.Mutation{appclient.Put(fmt.Sprint("p", i), nil)}})
	}
	for _, o := range c.Batch(deadline(t), batches...) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if out := status(t, c, id); out.State != appclient.Applied {
		t.Errorf("%+v", out)
	}
}

func second(_ uint64, err error) error { return err }

func TestWithOp(t *testing.T) {
	rig := faulty(t, appclient.Faults{})
	cl, c, set := rig.Cluster, rig.Client, rig.set
	ctx := deadline(t)
	r := c.Root("r")
	id, err := r.NewOp(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.WithOp(id).Put(ctx, "a", []byte("v")); err != nil {
		t.Fatal(err)
	}
	other := dial(t, cl, nil) // the same application, after a crash
	if v, err := other.Root("r").WithOp(id).Put(ctx, "a", []byte("v")); err != nil || v != 1 || len(cl.Applied()) != 1 {
		t.Errorf("the same again: version %d, %v, applied %d times", v, err, len(cl.Applied()))
	}
	for range 3 {
		if _, err := r.Put(ctx, "b", nil); err != nil {
			t.Fatal(err)
		}
	}
	if out := status(t, other, id); out.State != appclient.Applied {
		t.Errorf("%+v", out)
	}
	counter, err := r.NewOp(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := r.WithOp(counter).Increment(ctx, "n", 3); err != nil || n != 3 {
			t.Errorf("increment: %d, %v", n, err)
		}
	}
	unused, err := r.NewOp(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if out := status(t, other, unused); out.State != appclient.NeverApplied {
		t.Errorf("of an id that was not used: %+v", out)
	}
	for _, err := range []error{
		second(r.WithOp(unused).Put(ctx, "c", nil)), second(other.Root("r").WithOp(unused).Put(ctx, "c", nil)),
	} {
		if !errors.Is(err, appclient.ErrSettled) || !errors.Is(err, appclient.ErrUnavailable) || !strings.Contains(err.Error(), "new id") {
			t.Errorf("under an id that Status has settled: %v", err)
		}
	}
	// Sent by another process or not: nobody knows, so no error may deny it.
	set(appclienttest.Fault{Refuse: op.Denied})
	fresh, err := r.NewOp(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Root("r").WithOp(fresh).Put(ctx, "c", nil); !errors.Is(err, appclient.ErrUnknownOutcome) {
		t.Errorf("a refusal under another's id: %v", err)
	}
	if _, err := r.WithOp(fresh).Put(ctx, "c", nil); !errors.Is(err, appclient.ErrDenied) {
		t.Errorf("a refusal under an own id: %v", err)
	}
	set(appclienttest.Fault{})
	if _, err := c.Root("elsewhere7").WithOp(fresh).Put(ctx, "c", nil); !errors.Is(err, appclient.ErrInvalid) {
		t.Errorf("an id of another partition: %v", err)
	}
	cl.ExpireSessions()
	if _, err := r.WithOp(fresh).Put(ctx, "c", nil); !errors.Is(err, appclient.ErrUnavailable) {
		t.Errorf("an id of an expired session, never sent: %v", err)
	}
	if out := status(t, c, id); out.State != appclient.Forgotten {
		t.Errorf("of an expired session: %+v", out)
	}
}

func TestOpIDs(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	id, err := c.Root("r").NewOp(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]appclient.OpID{"op": id, "none": {}})
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]appclient.OpID
	if err := json.Unmarshal(b, &back); err != nil || back["op"] != id || !back["none"].IsZero() || id.IsZero() {
		t.Errorf("%s is %v: %v", b, back, err)
	}
	for _, bad := range []string{"x", "op1-00000000-1-2", "op1-00000000-1-0-3", "op1-00000000-1-2-0", "op1-00000000-5000000000-1-1", "op1-0000000g-1-1-1", "op2-00000000-1-2-3", "op1-00000000-1-2--3", "op1-00000000-1-2-9223372036854775808", "op1-00000000-1-2-18446744073709551615"} {
		if _, err := appclient.ParseOpID(bad); !errors.Is(err, appclient.ErrInvalid) {
			t.Errorf("ParseOpID(%q): %v", bad, err)
		}
	}
	foreign, err := appclient.ParseOpID("op1-00000000-1-2-3")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []appclient.OpID{{}, foreign} {
		if _, err := c.Status(deadline(t), id); !errors.Is(err, appclient.ErrInvalid) {
			t.Errorf("Status(%q): %v", id, err)
		}
	}
}

func TestOverloaded(t *testing.T) {
	t.Run("operation", func(t *testing.T) { overloaded(t, appclienttest.Fault{Refuse: op.Overloaded}) })
	t.Run("stanza", func(t *testing.T) { overloaded(t, appclienttest.Fault{Bounce: "resource-constraint"}) })
}

// overloaded refuses a write as the fault says, with a hint when to come again.
func overloaded(t *testing.T, f appclienttest.Fault) {
	rig := faulty(t, appclient.Faults{})
	cl, c, set := rig.Cluster, rig.Client, rig.set
	if _, err := c.Root("r").Put(deadline(t), "a", nil); err != nil {
		t.Fatal(err)
	}
	f.RetryAfter = time.Minute
	set(f)
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	before := c.Stats().Retries
	done := make(chan error, 1)
	go func() { _, err := c.Root("r").Put(ctx, "p", nil); done <- err }()
	until(t, "the refusal", func() bool { return c.Stats().Retries > before })
	cancel()
	err := <-done
	var over *appclient.OverloadedError
	if !errors.As(err, &over) || !errors.Is(err, appclient.ErrOverloaded) || errors.Is(err, appclient.ErrUnavailable) || over.RetryAfter <= time.Second {
		t.Errorf("Put: %v, %+v", err, over)
	}
	if n := c.Stats().Retries - before; n != 1 || len(cl.Applied()) != 1 {
		t.Errorf("%d retries in the time for which the node asked", n)
	}
	f.RetryAfter = time.Millisecond
	set(f)
	go func() { _, err := c.Root("r").Put(deadline(t), "p", nil); done <- err }()
	until(t, "retries", func() bool { return c.Stats().Retries > before+3 })
	set(appclienttest.Fault{})
	if err := <-done; err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}
