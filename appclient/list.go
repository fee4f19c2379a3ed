package appclient

import (
	"cmp"
	"context"
	"iter"

	"github.com/rosterdb/rosterdb/internal/op"
)

// ListOptions narrow a List or Objects.
type ListOptions struct {
	Prefix   string // only paths that begin with it
	After    string // only paths behind it, in byte order; "" begins at the first
	PageSize int    // entries fetched at a time; 0: the node's default
	Read     ReadOption
}

// List yields the root's objects in byte order of their paths, without their
// values, fetching page after page. Each page is linearizable, unless Stale;
// several pages are not one snapshot. An error ends the sequence.
// Errors: the read errors.
func (r Root) List(ctx context.Context, o ListOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for got, err := range r.list(ctx, o, false) {
			if err != nil {
				yield(Entry{}, r.wrap("list", err))
				return
			}
			if !yield(newEntry(got), nil) {
				return
			}
		}
	}
}

// Objects is List with values and references. An object whose value finds no
// room in its page is read with the page that begins with it.
// Errors: the read errors.
func (r Root) Objects(ctx context.Context, o ListOptions) iter.Seq2[*Object, error] {
	return func(yield func(*Object, error) bool) {
		for got, err := range r.list(ctx, o, true) {
			if err != nil {
				yield(nil, r.wrap("list", err))
				return
			}
			if !yield(newObject(r.name, got), nil) {
				return
			}
		}
	}
}

func (r Root) list(ctx context.Context, o ListOptions, values bool) iter.Seq2[*op.Object, error] {
	ask := op.Read{Kind: op.List, Root: r.name, Prefix: o.Prefix, After: o.After, FromStart: o.After == "", Limit: pageSize(o.PageSize), Values: values}
	err := r.check(o.Prefix)
	if err == nil {
		err = o.Read.set(&ask)
	}
	if err != nil {
		return func(yield func(*op.Object, error) bool) { yield(nil, err) }
	}
	m := &merge{c: r.c, limit: cmp.Or(ask.Limit, op.MaxListPage), sources: []*source{{partition: r.c.engine.partitionOf(r.name), ask: ask}}}
	return m.objects(ctx)
}

func pageSize(n int) int { return min(max(n, 0), op.MaxListPage) }
