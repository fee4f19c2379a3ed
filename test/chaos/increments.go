package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/rosterdb/rosterdb/appclient"
)

// increments are hot counters that many add to at once, through writes that
// carry the shares of several callers.
type increments struct {
	meter *meter
	each  [hotCount]tally
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
		k.each[i].note(k.meter.do(ctx, func(ctx context.Context) error {
			_, err := c.Root(hotRoot(i)).Increment(ctx, "count", delta)
			return err
		}), delta)
	}
}

func (k *increments) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	for i := range k.each {
		n, err := c.Root(hotRoot(i)).Increment(ctx, "count", 0)
		if err != nil {
			return fmt.Errorf("read hot counter %d: %w", i, err)
		}
		k.each[i].judge(v, hotRoot(i), n)
	}
	return nil
}
