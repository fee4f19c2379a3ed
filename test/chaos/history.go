package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/test/linearizability"
)

// history records what clients that meet on few roots asked and were answered.
// Every root has one object, its root object, and nothing is deleted: then the
// root's revision is the object's version. After a while the clients go on to
// new roots, so that the checker has many short histories.
type history struct {
	meter *meter
	began time.Time
	dir   string // for histories without an order
	// decide looks for an order, as linearizability.Check does.
	decide func([]linearizability.Operation) error

	mu     sync.Mutex
	all    int
	byRoot map[string][]linearizability.Operation
}

const (
	historyClients = 5
	historyRoots   = 8
	historyRound   = 1500 // operations until new roots are taken
	decideWithin   = 30 * time.Second
)

func newHistory(m *meter, dir string) *history {
	decide := func(ops []linearizability.Operation) error { return linearizability.Check(ops, decideWithin) }
	return &history{meter: m, dir: dir, decide: decide, began: time.Now(), byRoot: make(map[string][]linearizability.Operation)}
}

func (h *history) clients() int { return historyClients }

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

// root names one of the roots of now.
func (h *history) root(i int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("history/%d/%d", h.all/historyRound, i)
}

func (h *history) run(ctx context.Context, c *appclient.Client, id int) {
	rng := rand.New(rand.NewPCG(3, uint64(id)))
	seen := make(map[string]uint64) // versions, to compare with
	for n := 0; ctx.Err() == nil; n++ {
		i := rng.IntN(historyRoots)
		name := h.root(i)
		o := linearizability.Operation{Client: id, Call: h.now()}
		var version uint64
		text := fmt.Appendf(nil, "%d.%d", id, n)
		if i%3 == 0 { // a counter, from time to time set to something else
			text = strconv.AppendInt(nil, int64(id*1000+n), 10)
		}
		kind := rng.IntN(4)
		got := h.meter.do(ctx, func(ctx context.Context) (err error) {
			version, err = h.one(ctx, c.Root(name), &o, kind, seen[name], text)
			return err
		})
		seen[name] = max(seen[name], version)
		h.record(name, o, got)
	}
}

// one does an operation and fills in what it was and what was answered. The
// version is the object's now, as far as known.
func (h *history) one(ctx context.Context, root appclient.Root, o *linearizability.Operation, kind int, seen uint64, text []byte) (version uint64, err error) {
	if kind == 0 {
		o.Read, o.ReadResult = &op.Read{Kind: op.Get, Root: root.Name()}, op.ReadResult{Code: op.NotFound}
		var obj *appclient.Object
		if obj, err = root.Get(ctx, ""); err == nil {
			version = obj.Version
			o.ReadResult = op.ReadResult{Code: op.OK, Revision: version, Objects: []op.Object{{Version: version, Value: obj.Value}}}
		}
		return version, err
	}
	if kind == 3 {
		delta := int64(len(text)) - 4 // of either sign
		res, err := root.Batch(ctx, appclient.Add("", delta))
		return o.Added(root.Name(), delta, res, err), err
	}
	var cond op.Condition
	switch {
	case kind == 1:
		version, err = root.Put(ctx, "", text)
	case seen == 0:
		cond = op.Condition{Kind: op.Absent}
		version, err = root.CompareAndSwap(ctx, "", 0, text)
	default:
		cond = op.Condition{Kind: op.VersionIs, Version: seen}
		version, err = root.CompareAndSwap(ctx, "", seen, text)
	}
	code := op.OK
	var refusal *appclient.ConflictError
	if errors.As(err, &refusal) {
		code, version = op.Conflict, refusal.Version
	}
	o.Write = &op.Write{Root: root.Name(), Mutations: []op.Mutation{{Kind: op.Put, Value: text, Cond: cond}}}
	o.WriteResult = op.WriteResult{Code: code, Revision: version, Items: []op.Item{{Code: code, Version: version}}}
	return version, err
}

// record keeps the operation unless it surely had no effect.
func (h *history) record(root string, o linearizability.Operation, got outcome) {
	o.Return = h.now()
	o.Unknown = got == unknown
	h.mu.Lock()
	defer h.mu.Unlock()
	if got == refused || o.Unknown && o.Write == nil {
		return
	}
	h.all++
	h.byRoot[root] = append(h.byRoot[root], o)
}

// judge counts what could be decided. Where too many outcomes are unknown at once the other roots speak; if none does,
// nothing is shown, and that is wrong.
func (h *history) judge(_ context.Context, _ *appclient.Client, v *Verdict) error {
	for root, ops := range h.byRoot {
		err := h.decide(ops)
		if errors.Is(err, linearizability.ErrUndecided) {
			v.Undecided++
			continue
		}
		v.Decided++
		if err != nil {
			v.complain(&v.Wrong, 1, "%.60s: %d operations have no order that a store would answer so", err, len(ops))
			name := filepath.Join(h.dir, strings.ReplaceAll(root, "/", "-")+".txt")
			if err := os.WriteFile(name, []byte(err.Error()), 0o600); err != nil {
				return fmt.Errorf("keep the history of %s: %w", root, err)
			}
		}
	}
	if v.Decided == 0 {
		v.complain(&v.Wrong, 1, "no history was decided, of %d: nothing is known of the order of answers", v.Undecided)
	}
	return nil
}
