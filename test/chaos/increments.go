package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/appclient"
)

// increments are hot counters that many add to at once, through writes that
// carry the shares of several callers.
type increments struct {
	meter *meter
	each  [hotCount]struct{ applied, unknown atomic.Int64 }
}

const (
	hotCount   = 2
	hotClients = 6
)

func (k *increments) clients() int { return hotClients }

func hotRoot(i int) string { return fmt.Sprintf("hot/%d", i) }

func (k *increments) run(ctx context.Context, c *appclient.Client, id int) {
	rng := rand.New(rand.NewPCG(4, uint64(id)))
	for ctx.Err() == nil {
		i, delta := rng.IntN(hotCount), rng.Int64N(3)+1
		switch k.meter.do(ctx, func(ctx context.Context) error {
			_, err := c.Root(hotRoot(i)).Increment(ctx, "count", delta)
			return err
		}) {
		case applied:
			k.each[i].applied.Add(delta)
		case unknown:
			k.each[i].unknown.Add(delta)
		}
	}
}

func (k *increments) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	for i := range k.each {
		n, err := c.Root(hotRoot(i)).Increment(ctx, "count", 0)
		if err != nil {
			return fmt.Errorf("read hot counter %d: %w", i, err)
		}
		least := k.each[i].applied.Load()
		most := least + k.each[i].unknown.Load()
		switch {
		case n < least:
			v.complain(&v.Lost, int(least-n), "%d were added to hot counter %d, and it is %d", least, i, n)
		case n > most:
			v.complain(&v.Doubled, int(n-most), "%d at most were added to hot counter %d, and it is %d", most, i, n)
		}
	}
	return nil
}
