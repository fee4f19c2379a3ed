package linearizability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
)

// Recorder lets clients of a cluster do random operations, and gathers the history.
// Every root has one object, its root object, and nothing is deleted: then the
// root's revision is the object's version. In every third root the values are
// decimal numbers, so that it can be added to; in the others what is no counter is
// added to, too.
type Recorder struct {
	roots    int
	began    time.Time
	progress chan struct{} // one token: something was recorded

	mu               sync.Mutex
	history          []Operation
	unknown, refused int
}

// NewRecorder begins a history over so many roots.
func NewRecorder(roots int) *Recorder {
	return &Recorder{roots: roots, began: time.Now(), progress: make(chan struct{}, 1)}
}

func (h *Recorder) now() int64 { return time.Since(h.began).Nanoseconds() }

// Await waits until so many operations are recorded.
func (h *Recorder) Await(t testing.TB, count int) {
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

// Check judges the history, when all that ran has ended.
func (h *Recorder) Check(t testing.TB) {
	t.Helper()
	t.Logf("%d operations, %d of them of unknown outcome, %d surely not applied", len(h.history), h.unknown, h.refused)
	if err := Check(h.history, 30*time.Second); err != nil {
		t.Error(err)
		return
	}
	// The checker must be able to fail: an old answer to a late read is none.
	if err := Check(append(h.history, h.stale()), 30*time.Second); err == nil {
		t.Error("a planted stale read was not noticed")
	}
	planted := slices.Clone(h.history)
	if !miscount(planted) {
		t.Error("nothing was ever added to a counter")
	} else if err := Check(planted, 30*time.Second); err == nil {
		t.Error("a planted wrong sum was not noticed")
	}
}

// Run does random operations as one client until ctx ends.
func (h *Recorder) Run(ctx context.Context, id int, client *appclient.Client) {
	rng := rand.New(rand.NewPCG(1, uint64(id)))
	seen := make(map[string]uint64) // versions, to compare with
	for n := 0; ctx.Err() == nil; n++ {
		i := rng.IntN(h.roots)
		name := fmt.Sprintf("history/%d", i)
		root := client.Root(name)
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		o := Operation{Client: id, Call: h.now()}
		var err error
		var version uint64
		value := fmt.Appendf(nil, "%d.%d", id, n)
		if i%3 == 0 {
			value = strconv.AppendInt(nil, int64(id*1000+n), 10)
		}
		switch rng.IntN(4) {
		case 0:
			var obj *appclient.Object
			obj, err = root.Get(try, "")
			version = h.read(&o, name, obj, err)
		case 1:
			version, err = root.Put(try, "", value)
			h.wrote(&o, name, value, op.Condition{}, version, err)
		case 2:
			delta := rng.Int64N(9) - 4
			var res *appclient.BatchResult
			res, err = root.Batch(try, appclient.Add("", delta))
			version = o.Added(name, delta, res, err)
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
func (h *Recorder) read(o *Operation, name string, obj *appclient.Object, err error) (version uint64) {
	o.Read = &op.Read{Kind: op.Get, Root: name}
	o.ReadResult = op.ReadResult{Code: op.NotFound}
	if err == nil {
		o.ReadResult = op.ReadResult{Code: op.OK, Revision: obj.Version, Objects: []op.Object{{Version: obj.Version, Value: obj.Value}}}
		version = obj.Version
	}
	return version
}

// wrote fills in what a write answered; the version is the object's now, as far as known.
func (h *Recorder) wrote(o *Operation, name string, value []byte, cond op.Condition, version uint64, err error) uint64 {
	o.Write = &op.Write{Root: name, Mutations: []op.Mutation{{Kind: op.Put, Value: value, Cond: cond}}}
	code := op.OK
	var conflict *appclient.ConflictError
	if errors.As(err, &conflict) {
		code, version = op.Conflict, conflict.Version
	}
	o.WriteResult = op.WriteResult{Code: code, Revision: version, Items: []op.Item{{Code: code, Version: version}}}
	return version
}

// Added fills in a batch of a single Add to the root object, and what was answered;
// the version is the object's now, as far as known. Sums stay within 64 bits.
func (o *Operation) Added(root string, delta int64, res *appclient.BatchResult, err error) (version uint64) {
	o.Write = &op.Write{Root: root, Mutations: []op.Mutation{{Kind: op.Add, Delta: delta}}}
	var conflict *appclient.ConflictError
	switch {
	case err == nil:
		version = res.Revision
		o.WriteResult = op.WriteResult{Code: op.OK, Revision: version, Items: []op.Item{{Code: op.OK, Version: version}}}
		if len(res.Counts) == 1 { // absent where all are 0
			o.WriteResult.Items[0].Count = res.Counts[0]
		}
	case errors.As(err, &conflict):
		version = conflict.Version
		o.WriteResult = op.WriteResult{Code: op.Conflict, Revision: version, Items: []op.Item{{Code: op.Invalid, Version: version}}}
	}
	return version
}

// record keeps the operation unless it surely had no effect.
func (h *Recorder) record(o Operation, err error) {
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

// miscount changes the answer to an Add so that no order of the others explains it.
func miscount(history []Operation) bool {
	for i := range history {
		o := &history[i]
		if o.Write != nil && !o.Unknown && o.Write.Mutations[0].Kind == op.Add && o.WriteResult.Code == op.OK {
			o.WriteResult.Items = slices.Clone(o.WriteResult.Items)
			o.WriteResult.Items[0].Count += 1 << 40
			return true
		}
	}
	return false
}

// stale is a read that came last and answers what a root held at first.
func (h *Recorder) stale() Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := Operation{Client: -1, Call: h.now(), Return: h.now() + 1}
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
