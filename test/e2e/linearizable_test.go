package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/linearizability"
)

const (
	historyClients = 6
	historyRoots   = 12
	historyKills   = 3
	// historyPerKill operations end between one fault and the next.
	historyPerKill = 600
)

// TestLinearizableUnderKills: what concurrent clients see of a cluster of
// processes whose data nodes are killed (SIGKILL) and started again, one after
// the other, has an order in which a single-threaded store answers the same.
func TestLinearizableUnderKills(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, Nodes: 3})
	h := &recorder{began: time.Now(), progress: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for id := range historyClients {
		client := harness.Dial(t, c, nil)
		wg.Go(func() { h.run(ctx, id, client) })
	}
	for i := range historyKills {
		h.await(t, (2*i+1)*historyPerKill)
		node := c.Info().Nodes[i].ID
		if err := c.Kill(node); err != nil {
			t.Fatal(err)
		}
		h.await(t, (2*i+2)*historyPerKill)
		if err := c.Restart(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		if err := c.WaitHealthy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.await(t, (2*historyKills+1)*historyPerKill)
	stop()
	wg.Wait()
	t.Logf("%d operations, %d of them of unknown outcome, %d surely not applied", len(h.history), h.unknown, h.refused)
	if err := linearizability.Check(h.history, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	// The checker must be able to fail: an old answer to a late read is none.
	if err := linearizability.Check(append(h.history, h.stale()), 30*time.Second); err == nil {
		t.Error("a planted stale read was not noticed")
	}
}

// recorder gathers the history. Every root has one object, its root object, and
// nothing is deleted: then the root's revision is the object's version.
type recorder struct {
	began    time.Time
	progress chan struct{} // one token: something was recorded

	mu               sync.Mutex
	history          []linearizability.Operation
	unknown, refused int
}

func (h *recorder) now() int64 { return time.Since(h.began).Nanoseconds() }

// await waits until so many operations are recorded.
func (h *recorder) await(t *testing.T, count int) {
	t.Helper()
	late := time.After(60 * time.Second)
	for {
		h.mu.Lock()
		n := len(h.history)
		h.mu.Unlock()
		if n >= count {
			return
		}
		select {
		case <-h.progress:
		case <-late:
			t.Fatalf("%d operations after a minute, want %d", n, count)
		}
	}
}

// run does random operations until ctx ends.
func (h *recorder) run(ctx context.Context, id int, client *appclient.Client) {
	rng := rand.New(rand.NewPCG(1, uint64(id)))
	seen := make(map[string]uint64) // versions, to compare with
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("history/%d", rng.IntN(historyRoots))
		root := client.Root(name)
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		o := linearizability.Operation{Client: id, Call: h.now()}
		var err error
		var version uint64
		switch value := fmt.Appendf(nil, "%d.%d", id, n); rng.IntN(3) {
		case 0:
			var obj *appclient.Object
			obj, err = root.Get(try, "")
			version = h.read(&o, name, obj, err)
		case 1:
			version, err = root.Put(try, "", value)
			h.wrote(&o, name, value, op.Condition{}, version, err)
		default:
			cond := op.Condition{Kind: op.VersionIs, Version: seen[name]}
			if seen[name] == 0 {
				cond = op.Condition{Kind: op.Absent}
			}
			version, err = root.CompareAndSwap(try, "", seen[name], value)
			version = h.wrote(&o, name, value, cond, version, err)
		}
		cancel()
		seen[name] = max(seen[name], version)
		h.record(o, err)
	}
}

// read fills in what a Get answered.
func (h *recorder) read(o *linearizability.Operation, name string, obj *appclient.Object, err error) (version uint64) {
	o.Read = &op.Read{Kind: op.Get, Root: name}
	o.ReadResult = op.ReadResult{Code: op.NotFound}
	if err == nil {
		o.ReadResult = op.ReadResult{Code: op.OK, Revision: obj.Version, Objects: []op.Object{{Version: obj.Version, Value: obj.Value}}}
		version = obj.Version
	}
	return version
}

// wrote fills in what a write answered; the version is the object's now, as far as known.
func (h *recorder) wrote(o *linearizability.Operation, name string, value []byte, cond op.Condition, version uint64, err error) uint64 {
	o.Write = &op.Write{Root: name, Mutations: []op.Mutation{{Kind: op.Put, Value: value, Cond: cond}}}
	code := op.OK
	var conflict *appclient.ConflictError
	if errors.As(err, &conflict) {
		code, version = op.Conflict, conflict.Version
	}
	o.WriteResult = op.WriteResult{Code: code, Revision: version, Items: []op.Item{{Code: code, Version: version}}}
	return version
}

// record keeps the operation unless it surely had no effect.
func (h *recorder) record(o linearizability.Operation, err error) {
	o.Return = h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil, errors.Is(err, appclient.ErrConflict), errors.Is(err, appclient.ErrNotFound):
	case errors.Is(err, appclient.ErrUnknownOutcome) && o.Write != nil:
		o.Unknown = true
		h.unknown++
	default:
		h.refused++
		return
	}
	h.history = append(h.history, o)
	select {
	case h.progress <- struct{}{}:
	default:
	}
}

// stale is a read that came last and answers what a root held at first.
func (h *recorder) stale() linearizability.Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := linearizability.Operation{Client: historyClients, Call: h.now(), Return: h.now() + 1}
	for _, w := range h.history {
		if w.Write != nil && w.WriteResult.Code == op.OK && w.WriteResult.Revision == 1 {
			o.Read = &op.Read{Kind: op.Get, Root: w.Write.Root}
			o.ReadResult = op.ReadResult{Code: op.OK, Revision: 1, Objects: []op.Object{{Version: 1, Value: w.Write.Mutations[0].Value}}}
			return o
		}
	}
	o.Read = &op.Read{Kind: op.Get, Root: "history/0"}
	o.ReadResult = op.ReadResult{Code: op.NotFound}
	return o
}
