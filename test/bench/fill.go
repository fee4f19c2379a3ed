package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
)

const (
	fillSize     = 256 // bytes of a value
	fillTogether = 64  // roots that one call of Client.Batch names
	fillTimeout  = time.Minute
)

// filler loads objects, each a root of its own, under the names and with the
// values that kvload reads back. It sends many roots a call, from a few
// goroutines: millions would take the generator's own load several times as long.
type filler struct {
	client    *appclient.Client
	scattered bool
	noise     []byte
}

func newFiller(ctx context.Context, c *devcluster.Cluster) (*filler, error) {
	cfg, err := appclient.FromDev(c.File())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	client, err := appclient.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	f := &filler{client: client, noise: make([]byte, 1<<20)}
	seed := [32]byte{1}
	_, _ = rand.NewChaCha8(seed).Read(f.noise) // never fails
	return f, nil
}

func (f *filler) close() { _ = f.client.Close() } // never fails

// name and value are those of kvload with its default prefix.
func (f *filler) name(i int) string { return fmt.Sprintf("k%d.%08d", fillSize, i) }

func (f *filler) value(i int) []byte {
	v := make([]byte, fillSize)
	at := (i * 7919) % (len(f.noise) - fillSize)
	copy(v, f.noise[at:])
	copy(v, fmt.Sprintf("%08d", i))
	binary.LittleEndian.PutUint64(v[8:], uint64(i)*0x9e3779b97f4a7c15) // no two values alike
	return v
}

// fill puts the objects from until to, in the order of their keys or a scattered
// one, with so many calls under way at once.
func (f *filler) fill(ctx context.Context, from, to, calls int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(from))
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			for ctx.Err() == nil {
				at := int(next.Add(fillTogether)) - fillTogether
				if at >= to {
					return
				}
				if err := f.put(ctx, at, min(at+fillTogether, to), from, to); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// put puts those that stand at places at until end of the order.
func (f *filler) put(ctx context.Context, at, end, from, to int) error {
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	batches := make([]appclient.RootBatch, 0, end-at)
	for i := at; i < end; i++ {
		n := i
		if f.scattered {
			n = from + scatter(i-from, to-from)
		}
		batches = append(batches, appclient.RootBatch{Root: f.name(n), Mutations: []appclient.Mutation{appclient.Put("", f.value(n))}})
	}
	for _, o := range f.client.Batch(ctx, batches...) {
		if o.Err != nil {
			return fmt.Errorf("put objects: %w", o.Err)
		}
	}
	return nil
}

// scatter maps 0 to n-1 onto themselves, neighbours far apart: keys do not come in
// the order in which the nodes keep them.
func scatter(i, n int) int {
	const step = 1<<31 - 1 // a prime: it divides no n that is smaller
	return int(int64(i) * step % int64(n))
}
