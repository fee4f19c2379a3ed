package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
)

const (
	roots   = 300
	paths   = 20
	tryFor  = 20 * time.Second
	newcome = 15 * time.Second // between two clients that come, write and go
)

// work is the steady load on a set of objects that does not grow.
type work struct {
	cfg    appclient.Config
	opt    options
	client *appclient.Client
	end    context.CancelFunc
	wg     sync.WaitGroup

	operations, events, logins atomic.Int64

	mu  sync.Mutex
	err error // the first that must not be
}

func startWork(ctx context.Context, c *devcluster.Cluster, o options) (*work, error) {
	cfg, err := appclient.FromDev(c.File())
	if err != nil {
		return nil, err
	}
	w := &work{cfg: cfg, opt: o}
	if w.client, err = appclient.Dial(ctx, cfg); err != nil {
		return nil, err
	}
	ctx, w.end = context.WithCancel(context.WithoutCancel(ctx))
	for id := range o.clients {
		w.wg.Go(func() { w.operate(ctx, uint64(id)) })
	}
	w.wg.Go(func() { w.watch(ctx) })
	w.wg.Go(func() { w.comeAndGo(ctx) })
	return w, nil
}

// stop ends the work and tells the first error of it.
func (w *work) stop() error {
	w.end()
	w.wg.Wait()
	w.client.Close() //nolint:errcheck // never fails
	return w.err
}

func (w *work) failed(what string, err error) {
	if err == nil || errors.Is(err, appclient.ErrNotFound) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (w *work) operate(ctx context.Context, id uint64) {
	rng := rand.New(rand.NewPCG(id, 5))
	for ctx.Err() == nil {
		root := w.client.Root(fmt.Sprintf("soak/%d", rng.IntN(roots)))
		path := fmt.Sprint(rng.IntN(paths))
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryFor)
		what, err := w.one(try, root, path, rng)
		cancel()
		w.failed(what, err)
		w.operations.Add(1)
		time.Sleep(w.opt.pace)
	}
}

func (w *work) one(ctx context.Context, root appclient.Root, path string, rng *rand.Rand) (what string, err error) {
	value := make([]byte, 100+rng.IntN(2000))
	switch rng.IntN(10) {
	case 0:
		return "delete", root.Delete(ctx, path)
	case 1:
		_, err = root.Put(ctx, "fleeting", value, appclient.WithTTL(5*time.Second))
		return "put with TTL", err
	case 2:
		_, err = root.Increment(ctx, "count", 1)
		return "increment", err
	case 3:
		_, err = root.Batch(ctx, appclient.Put(path, value), appclient.Put("last", value[:50]))
		return "batch", err
	case 4, 5:
		_, err = root.Get(ctx, path)
		return "get", err
	case 6:
		for _, err := range root.List(ctx, appclient.ListOptions{}) {
			if err != nil {
				return "list", err
			}
		}
		return "list", nil
	}
	_, err = root.Put(ctx, path, value)
	return "put", err
}

// watch follows all roots.
func (w *work) watch(ctx context.Context) {
	for _, err := range w.client.Watch(appclient.WatchOptions{Prefix: "soak/"}).Events(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				w.failed("watch", err)
			}
			return
		}
		w.events.Add(1)
	}
}

// comeAndGo is one client after the other.
func (w *work) comeAndGo(ctx context.Context) {
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(newcome, w.opt.duration/10)):
		}
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryFor)
		c, err := appclient.Dial(try, w.cfg)
		if err == nil {
			_, err = c.Root(fmt.Sprintf("soak/%d", n%roots)).Put(try, "visitor", nil)
			c.Close() //nolint:errcheck // never fails
		}
		cancel()
		w.failed("a client that comes and goes", err)
		w.logins.Add(1)
	}
}
