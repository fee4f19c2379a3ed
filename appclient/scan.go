package appclient

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/rosterdb/rosterdb/internal/op"
)

// ScanOptions narrow a Scan or Roots.
type ScanOptions struct {
	Prefix    string // only roots whose names begin with it
	AfterRoot string // only what lies behind this object, in the order of Scan;
	After     string // with AfterRoot "" it begins at the first
	PageSize  int    // most objects fetched at a time from a partition; 0: as many as suit their size
	Read      ReadOption
}

// scanPage is the size of the first pages: there is one of each partition at a time.
const scanPage = 64

// Scan yields the objects of all roots in byte order of the roots' names and,
// within a root, of their paths, with values and references. It asks all
// partitions and merges their pages. Each page shows one partition at one moment
// not before it was asked for (or as Stale says); pages of one partition, and
// those of different ones, are of different moments. So an object that exists all
// the time is seen once, and one that comes or goes under way may be.
// An error ends the sequence. Errors: the read errors.
func (c *Client) Scan(ctx context.Context, o ScanOptions) iter.Seq2[*Object, error] {
	return func(yield func(*Object, error) bool) {
		for got, err := range c.scan(ctx, o, false) {
			if err != nil {
				yield(nil, fmt.Errorf("scan %s: %w", quote(o.Prefix), err))
				return
			}
			if !yield(newObject(got.Root, got), nil) {
				return
			}
		}
	}
}

// Roots yields the names of the roots that have objects, in byte order. Order and
// consistency are those of Scan. Errors: the read errors.
func (c *Client) Roots(ctx context.Context, o ScanOptions) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for got, err := range c.scan(ctx, o, true) {
			if err != nil {
				yield("", fmt.Errorf("list roots %s: %w", quote(o.Prefix), err))
				return
			}
			if !yield(got.Root, nil) {
				return
			}
		}
	}
}

func (c *Client) scan(ctx context.Context, o ScanOptions, rootsOnly bool) iter.Seq2[*op.Object, error] {
	ask := op.Read{Kind: op.Scan, Prefix: o.Prefix, AfterRoot: o.AfterRoot, After: o.After, FromStart: o.AfterRoot == "", Limit: pageSize(o.PageSize), Values: !rootsOnly, RootsOnly: rootsOnly}
	if ask.Limit == 0 {
		ask.Limit = scanPage
	}
	err := o.Read.set(&ask)
	if bad := ask.Check(); err == nil && bad != nil {
		err = fmt.Errorf("%w: %w", ErrInvalid, bad)
	}
	if err != nil {
		return func(yield func(*op.Object, error) bool) { yield(nil, err) }
	}
	m := c.everywhere(ask, byName)
	if o.PageSize > 0 {
		m.limit = ask.Limit
	}
	return m.objects(ctx)
}

func byName(a, b *op.Object) int {
	return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.Path, b.Path))
}
