package chaos

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/test/linearizability"
)

// orderedPut is a write of a history that is answered in its order, and orderedGet a read of what it left.
func orderedPut(call int64, n int) linearizability.Operation {
	return linearizability.Operation{
		Call: call, Return: call + 1,
		Write:       &op.Write{Root: "r", Mutations: []op.Mutation{{Kind: op.Put, Value: fmt.Append(nil, n)}}},
		WriteResult: op.WriteResult{Code: op.OK, Revision: uint64(n), Items: []op.Item{{Code: op.OK, Version: uint64(n)}}},
	}
}

func orderedGet(call int64, n int) linearizability.Operation {
	return linearizability.Operation{
		Call: call, Return: call + 1, Read: &op.Read{Kind: op.Get, Root: "r"},
		ReadResult: op.ReadResult{Code: op.OK, Revision: uint64(n), Objects: []op.Object{{Version: uint64(n), Value: fmt.Append(nil, n)}}},
	}
}

// hopeless is a history that no machine decides in the time of its judge: of forty writes of unknown outcome at once any may
// have come before any other, and the read agrees with none of the orders.
func hopeless() (ops []linearizability.Operation) {
	const writes = 40
	for n := range writes {
		o := orderedPut(1, n)
		o.Unknown = true
		ops = append(ops, o)
	}
	return append(ops, orderedGet(2, 2*writes))
}

func ofHistories(m *meter) (all []judgement) {
	type ops = []linearizability.Operation
	ordered, wrongly, more := ops{orderedPut(1, 1), orderedGet(3, 1)}, ops{orderedPut(1, 1), orderedPut(3, 2), orderedGet(5, 1)}, hopeless()
	for _, c := range []struct {
		name               string
		want               count
		decided, undecided int
		histories          []ops
	}{
		{"in order", clean, 1, 0, []ops{ordered}},
		{"an old answer", wrong, 1, 0, []ops{wrongly}},
		{"an old answer beside one in order", wrong, 2, 0, []ops{ordered, wrongly}},
		{"one undecided", clean, 1, 1, []ops{ordered, more}},
		{"none decided", wrong, 0, 1, []ops{more}},
		{"none at all", wrong, 0, 0, nil},
	} {
		h := newHistory(m, "")
		patient := h.decide
		h.decide = func(one ops) error {
			if len(one) == len(more) {
				return linearizability.Check(one, 50*time.Millisecond)
			}
			return patient(one)
		}
		for i, one := range c.histories {
			h.byRoot[fmt.Sprint("history/", i)] = one
		}
		all = append(all, judgement{"history/" + c.name, c.want, func(ctx context.Context, client *appclient.Client, v *Verdict) (err error) {
			if h.dir, err = os.MkdirTemp("", "history-"); err != nil {
				return err
			}
			defer os.RemoveAll(h.dir) //nolint:errcheck // what is left there does no harm
			if err := h.judge(ctx, client, v); err != nil {
				return err
			}
			if v.Decided != c.decided || v.Undecided != c.undecided {
				return fmt.Errorf("%d decided and %d undecided, want %d and %d", v.Decided, v.Undecided, c.decided, c.undecided)
			}
			return nil
		}})
	}
	return all
}

// TestOpenGap: a writer that waits in vain at the end has been held up for that long.
func TestOpenGap(t *testing.T) {
	m := newMeter(-1)
	stuck, well := m.writer(), m.writer()
	const gap = time.Minute
	stuck.last = stuck.last.Add(-gap)
	well.acknowledged()
	if m.gap >= gap {
		t.Fatalf("a gap of %s before the writer ends", m.gap)
	}
	well.ended()
	stuck.ended()
	if m.gap < gap {
		t.Errorf("the longest gap is %s; a writer waited for %s in vain", m.gap, gap)
	}
}
