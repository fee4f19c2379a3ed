package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

// stales read, from any replica, objects that one writer each raises, with a bound on
// the age of what they get: it is never older than what was acknowledged so long
// before the question.
type stales struct {
	meter *meter
	each  [staleRoots]acknowledgements
	wrong complaints
}

const (
	staleRoots   = 2
	staleReaders = 2
)

// acknowledgements are the versions that a writer was told, in order.
type acknowledgements struct {
	mu  sync.Mutex
	all []acknowledgement
}

type acknowledgement struct {
	at      time.Time
	version uint64
}

func (a *acknowledgements) note(version uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, acknowledgement{time.Now(), version})
}

// before is the newest version that was acknowledged before a time.
func (a *acknowledgements) before(t time.Time) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := sort.Search(len(a.all), func(i int) bool { return !a.all[i].at.Before(t) })
	if i == 0 {
		return 0
	}
	return a.all[i-1].version
}

func (k *stales) clients() int { return staleRoots + staleReaders }

func staleRoot(i int) string { return fmt.Sprintf("stale/%d", i) }

func (k *stales) run(ctx context.Context, c *appclient.Client, id int) {
	if id >= staleRoots {
		k.read(ctx, c, id)
		return
	}
	w := k.meter.writer()
	defer w.ended()
	for n := 0; ctx.Err() == nil; n++ {
		var version uint64
		if k.meter.do(ctx, func(ctx context.Context) (err error) {
			version, err = c.Root(staleRoot(id)).Put(ctx, "", fmt.Append(nil, n))
			return err
		}) == applied {
			k.each[id].note(version)
			w.acknowledged()
		}
	}
}

func (k *stales) read(ctx context.Context, c *appclient.Client, id int) {
	rng := rand.New(rand.NewPCG(7, uint64(id)))
	ages := []time.Duration{0, 20 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second}
	for ctx.Err() == nil {
		i, age := rng.IntN(staleRoots), ages[rng.IntN(len(ages))]
		var version, least uint64
		if k.meter.do(ctx, func(ctx context.Context) error {
			least = k.each[i].before(time.Now().Add(-age))
			o, err := c.Root(staleRoot(i)).Get(ctx, "", appclient.Stale(age))
			if errors.Is(err, appclient.ErrNotFound) {
				version = 0
				return nil
			}
			if err == nil {
				version = o.Version
			}
			return err
		}) == applied {
			k.check(i, age, version, least)
		}
	}
}

// check looks at an answer; least was acknowledged an age before the question.
func (k *stales) check(i int, age time.Duration, version, least uint64) {
	if version < least {
		k.wrong.add("a read of %s that allows %s is answered with version %d; %d was acknowledged before that", staleRoot(i), age, version, least)
	}
}

func (k *stales) judge(_ context.Context, _ *appclient.Client, v *Verdict) error {
	k.wrong.judge(v)
	return nil
}
