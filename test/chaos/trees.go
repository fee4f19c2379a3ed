package chaos

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/appclient"
)

// trees are written whole, in batches with one stamp, and read meanwhile: a
// batch is there or it is not, and its objects share a version.
type trees struct {
	meter *meter
	each  [treeCount]tree
	torn  atomic.Int64
}

type tree struct{ acknowledged, tried atomic.Int64 } // stamps

const (
	treeCount    = 2
	treeBranches = 8
)

// clients: a writer and a reader for each tree.
func (k *trees) clients() int { return 2 * treeCount }

func treeRoot(i int) string { return fmt.Sprintf("tree/%d", i) }

func (k *trees) run(ctx context.Context, c *appclient.Client, id int) {
	i := id % treeCount
	if id >= treeCount {
		k.read(ctx, c, i)
		return
	}
	w := k.meter.writer()
	defer w.ended()
	for stamp := int64(1); ctx.Err() == nil; stamp++ {
		var batch []appclient.Mutation
		for b := range treeBranches {
			batch = append(batch, appclient.Put(objectName(b), strconv.AppendInt(nil, stamp, 10)))
		}
		k.each[i].tried.Store(stamp)
		if k.meter.do(ctx, func(ctx context.Context) error {
			_, err := c.Root(treeRoot(i)).Batch(ctx, batch...)
			return err
		}) == applied {
			k.each[i].acknowledged.Store(stamp)
			w.acknowledged()
		}
	}
}

func (k *trees) read(ctx context.Context, c *appclient.Client, i int) {
	for ctx.Err() == nil {
		var versions map[uint64]int
		if k.meter.do(ctx, func(ctx context.Context) (err error) {
			versions, err = branches(ctx, c, i)
			return err
		}) == applied && len(versions) > 1 {
			k.torn.Add(1)
		}
	}
}

// branches counts the objects of a tree by version.
func branches(ctx context.Context, c *appclient.Client, i int) (map[uint64]int, error) {
	versions := make(map[uint64]int)
	for e, err := range c.Root(treeRoot(i)).List(ctx, appclient.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		versions[e.Version]++
	}
	return versions, nil
}

func (k *trees) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	if n := k.torn.Load(); n > 0 {
		v.complain(&v.Wrong, int(n), "%d reads found part of a batch", n)
	}
	for i := range k.each {
		versions, err := branches(ctx, c, i)
		if err != nil {
			return fmt.Errorf("list tree %d: %w", i, err)
		}
		least, most := k.each[i].acknowledged.Load(), k.each[i].tried.Load()
		if least == 0 {
			continue
		}
		if len(versions) != 1 {
			v.complain(&v.Wrong, 1, "tree %d has objects by version: %v", i, versions)
		}
		o, err := c.Root(treeRoot(i)).Get(ctx, objectName(0))
		if err != nil {
			return fmt.Errorf("read tree %d: %w", i, err)
		}
		stamp, err := strconv.ParseInt(string(o.Value), 10, 64)
		switch {
		case err != nil || stamp > most:
			v.complain(&v.Wrong, 1, "tree %d holds %q, which nobody wrote", i, o.Value)
		case stamp < least:
			v.complain(&v.Lost, int(least-stamp), "tree %d: batch %d was acknowledged, and %d is there", i, least, stamp)
		case o.Version > uint64(most):
			v.complain(&v.Doubled, int(o.Version)-int(most), "tree %d: %d batches were tried, and %d took effect", i, most, o.Version)
		}
	}
	return nil
}
