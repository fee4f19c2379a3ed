package demo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/appclient"
	"golang.org/x/sync/errgroup"
)

const readWorkers = 32

// readBack reads every object of the manifest and compares its bytes. It
// returns how many differ or are missing; other failures are errors.
func readBack(ctx context.Context, c *appclient.Client, m *manifest, p *progress) (wrong int, err error) {
	var bad atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readWorkers)
	for o, sum := range m.objects {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, opTimeout)
			defer cancel()
			got, err := c.Root(o.root).Get(ctx, o.path)
			switch {
			case errors.Is(err, appclient.ErrNotFound):
				bad.Add(1)
				return nil
			case err != nil:
				return fmt.Errorf("read %q of root %s: %w", o.path, o.root, err)
			case sha256.Sum256(got.Value) != sum:
				bad.Add(1)
			}
			p.add(1, int64(len(got.Value)))
			return nil
		})
	}
	err = g.Wait()
	return int(bad.Load()), err
}

// listAll lists every root of the manifest and returns how many objects are
// missing or there without having been written.
func listAll(ctx context.Context, c *appclient.Client, m *manifest) (wrong int, err error) {
	want := make(map[string][]string)
	for o := range m.objects {
		want[o.root] = append(want[o.root], o.path)
	}
	var bad atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readWorkers)
	for root, paths := range want {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, opTimeout)
			defer cancel()
			slices.Sort(paths)
			var got []string
			for e, err := range c.Root(root).List(ctx, appclient.ListOptions{}) {
				if err != nil {
					return fmt.Errorf("list root %s: %w", root, err)
				}
				got = append(got, e.Path)
			}
			if !slices.Equal(got, paths) {
				bad.Add(int64(max(len(paths), len(got)) - common(got, paths)))
			}
			return nil
		})
	}
	err = g.Wait()
	return int(bad.Load()), err
}

// common counts what two sorted lists have in common.
func common(a, b []string) (n int) {
	for _, s := range a {
		if _, ok := slices.BinarySearch(b, s); ok {
			n++
		}
	}
	return n
}
