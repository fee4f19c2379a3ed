package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/rosterdb/rosterdb/appclient"
)

// counters are raised by compare-and-swap. Each is alone in its root, so its
// version is the number of times that it was raised, and its value, too.
type counters struct {
	meter *meter
	each  [counterCount]tally
}

const (
	counterCount   = 6
	counterClients = 4
)

func (k *counters) clients() int { return counterClients }

func counterRoot(i int) string { return fmt.Sprintf("counter/%d", i) }

func (k *counters) run(ctx context.Context, c *appclient.Client, id int) {
	rng := rand.New(rand.NewPCG(2, uint64(id)))
	for ctx.Err() == nil {
		i := rng.IntN(counterCount)
		root := c.Root(counterRoot(i))
		var have, version uint64
		if k.meter.do(ctx, func(ctx context.Context) (err error) {
			have, version, err = readCounter(ctx, root)
			return err
		}) != applied {
			continue
		}
		k.each[i].note(k.meter.do(ctx, func(ctx context.Context) error {
			_, err := root.CompareAndSwap(ctx, "", version, strconv.AppendUint(nil, have+1, 10))
			return err
		}), 1)
	}
}

// readCounter returns 0, 0 for a counter that was never raised.
func readCounter(ctx context.Context, root appclient.Root) (have, version uint64, err error) {
	o, err := root.Get(ctx, "")
	if errors.Is(err, appclient.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	have, err = strconv.ParseUint(string(o.Value), 10, 64)
	return have, o.Version, err
}

func (k *counters) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	for i := range k.each {
		have, version, err := readCounter(ctx, c.Root(counterRoot(i)))
		if err != nil {
			return fmt.Errorf("read counter %d: %w", i, err)
		}
		k.each[i].judge(v, counterRoot(i), int64(have))
		if have != version {
			v.complain(&v.Wrong, 1, "counter %d is %d with version %d", i, have, version)
		}
	}
	return nil
}
