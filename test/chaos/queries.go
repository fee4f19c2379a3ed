package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/rosterdb/rosterdb/appclient"
)

// queries ask a secondary index while the numbers that it has are raised, each by one
// writer. What a query tells is in order, has every object once, and none with a
// number below what was acknowledged before, unless a write of unknown outcome came
// late.
type queries struct {
	meter *meter
	wrong complaints

	mu      sync.Mutex
	acked   map[objectAt]uint64
	late    map[objectAt][]uint64 // numbers of unknown outcome
	answers int
}

const (
	queryRoots   = 2
	queryObjects = 12 // a root
	queryPrefix  = "query/"
	queryIndex   = "by-n"
)

func newQueries(m *meter) *queries {
	return &queries{meter: m, acked: make(map[objectAt]uint64), late: make(map[objectAt][]uint64)}
}

// clients: a writer for each root, and one that asks.
func (k *queries) clients() int { return queryRoots + 1 }

func (k *queries) run(ctx context.Context, c *appclient.Client, id int) {
	if id == queryRoots {
		for ctx.Err() == nil {
			k.ask(ctx, c)
		}
		return
	}
	w := k.meter.writer()
	defer w.ended()
	for n := uint64(1); ctx.Err() == nil; n++ {
		at := objectAt{fmt.Sprint(queryPrefix, id), objectName(int(n % queryObjects))}
		o := k.meter.do(ctx, func(ctx context.Context) error {
			_, err := c.Root(at.root).Put(ctx, at.path, fmt.Appendf(nil, `{"n":%d}`, n))
			return err
		})
		k.mu.Lock()
		switch o {
		case applied:
			k.acked[at] = n
			w.acknowledged()
		case unknown:
			k.late[at] = append(k.late[at], n)
		}
		k.mu.Unlock()
	}
}

func (k *queries) ask(ctx context.Context, c *appclient.Client) {
	k.mu.Lock()
	least := maps.Clone(k.acked)
	k.mu.Unlock()
	var found []indexed
	known := false // a data node that has not heard of the index yet says that there is none
	if k.meter.do(ctx, func(ctx context.Context) (err error) {
		found, err = askIndex(ctx, c)
		known = err == nil
		return err
	}) == applied && known {
		k.check(found, least)
	}
}

// indexed is an object as a query tells it.
type indexed struct {
	objectAt
	key any // what the index has for it
	n   uint64
}

// askIndex asks the index for all it has.
func askIndex(ctx context.Context, c *appclient.Client) (found []indexed, err error) {
	for m, err := range c.Query(ctx, appclient.Query{Index: queryIndex}) {
		if err != nil {
			return nil, err
		}
		n, err := number(m.Object.Value)
		if err != nil {
			return nil, err
		}
		found = append(found, indexed{objectAt{m.Root, m.Path}, m.Key.Value(), n})
	}
	return found, nil
}

// number is what an indexed object holds.
func number(value []byte) (uint64, error) {
	var v struct{ N uint64 }
	if err := json.Unmarshal(value, &v); err != nil {
		return 0, fmt.Errorf("an indexed object holds %q: %w", value, err)
	}
	return v.N, nil
}

// check looks at an answer; least was acknowledged before the question.
func (k *queries) check(found []indexed, least map[objectAt]uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answers++
	numbers := make(map[objectAt]uint64, len(found))
	last := uint64(0)
	for _, x := range found {
		if _, twice := numbers[x.objectAt]; twice {
			k.wrong.add("a query told %s %s twice", x.root, x.path)
		}
		if x.n < last {
			k.wrong.add("a query told %d behind %d", x.n, last)
		}
		if x.key != float64(x.n) {
			k.wrong.add("a query told %s %s under %v; it has %d", x.root, x.path, x.key, x.n)
		}
		numbers[x.objectAt], last = x.n, x.n
	}
	for at, n := range least {
		if got := numbers[at]; got < n && !slices.Contains(k.late[at], got) {
			k.wrong.add("a query has %s %s with %d; %d was acknowledged before", at.root, at.path, got, n)
		}
	}
}

// judge compares the index with the objects.
func (k *queries) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	k.wrong.judge(v)
	found, err := askIndex(ctx, c)
	if errors.Is(err, appclient.ErrNotFound) || err == nil && k.answers == 0 {
		v.complain(&v.Wrong, 1, "no query was answered")
		return nil
	}
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	index := make(map[objectAt]uint64, len(found))
	for _, x := range found {
		index[x.objectAt] = x.n
	}
	for i := range queryRoots {
		root := fmt.Sprint(queryPrefix, i)
		for o, err := range c.Root(root).Objects(ctx, appclient.ListOptions{}) {
			if err != nil {
				return fmt.Errorf("read %s: %w", root, err)
			}
			n, err := number(o.Value)
			if err != nil {
				return err
			}
			at := objectAt{root, o.Path}
			if got := index[at]; got != n {
				v.complain(&v.Wrong, 1, "the index has %s %s with %d; the object has %d", root, o.Path, got, n)
			}
			if least := k.acked[at]; n < least && !slices.Contains(k.late[at], n) {
				v.complain(&v.Lost, 1, "%s %s has %d; %d was acknowledged", root, o.Path, n, least)
			}
			delete(index, at)
			delete(k.acked, at)
		}
	}
	if len(index) > 0 {
		v.complain(&v.Wrong, len(index), "the index has %d objects that are not there", len(index))
	}
	if len(k.acked) > 0 {
		v.complain(&v.Lost, len(k.acked), "%d indexed objects were acknowledged and are not there", len(k.acked))
	}
	return nil
}
