package appclient

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Key is a value of an indexed field: JSON's null, a boolean, a number or a
// string. StringKey, NumberKey, BoolKey and NullKey make them. An index sorts
// them in this order of kinds: null, booleans (false first), numbers, strings (by
// bytes).
type Key struct{ s op.Scalar }

// StringKey is a string.
func StringKey(s string) *Key { return &Key{op.Scalar{Kind: op.String, String: s}} }

// NumberKey is a number.
func NumberKey(f float64) *Key { return &Key{op.Scalar{Kind: op.Number, Number: f}} }

// BoolKey is a boolean.
func BoolKey(b bool) *Key { return &Key{op.Scalar{Kind: op.Bool, Bool: b}} }

// NullKey is JSON's null.
func NullKey() *Key { return &Key{op.Scalar{Kind: op.Null}} }

// Value returns the key as Go has it: nil, bool, float64 or string.
func (k *Key) Value() any {
	switch k.s.Kind {
	case op.Bool:
		return k.s.Bool
	case op.Number:
		return k.s.Number
	case op.String:
		return k.s.String
	}
	return nil
}

// String is the key as a program's text has it: null, true, 3.5, "a string".
func (k Key) String() string {
	if k.s.Kind == op.String {
		return strconv.Quote(k.s.String)
	}
	if v := k.Value(); v != nil {
		return fmt.Sprint(v)
	}
	return "null"
}

// Query asks a secondary index, which `ringctl index` declares.
type Query struct {
	Index    string
	From, To *Key // bounds, inclusive, From the smaller one; nil: none. Both the same: equality
	Desc     bool
	Limit    int // most objects; 0: all
	Read     ReadOption
}

// Match is one object that a query found.
type Match struct {
	Key Key // that the index has for it; an object with an array there has several
	Object
}

// Query yields the objects that the index has within the bounds, ordered by key,
// then by root and path; all of that backwards with Desc. It asks all partitions and merges their
// pages; each page shows one partition at one moment, as in Scan. What a write
// changes is in the index when the write returns.
// An error ends the sequence. Errors: ErrNotFound if there is no such index; the
// read errors.
func (c *Client) Query(ctx context.Context, q Query) iter.Seq2[*Match, error] {
	return func(yield func(*Match, error) bool) {
		n := 0
		for got, err := range c.query(ctx, &q) {
			if err != nil {
				yield(nil, fmt.Errorf("query index %s: %w", quote(q.Index), err))
				return
			}
			if !yield(&Match{Key{got.Key}, *newObject(got.Root, got)}, nil) {
				return
			}
			if n++; n == q.Limit {
				return
			}
		}
	}
}

func (c *Client) query(ctx context.Context, q *Query) iter.Seq2[*op.Object, error] {
	ask := op.Read{Kind: op.Query, Index: q.Index, Desc: q.Desc, Limit: scanPage, Values: true}
	if q.Limit > 0 {
		ask.Limit = min(q.Limit, ask.Limit)
	}
	if q.From != nil {
		ask.From = &q.From.s
	}
	if q.To != nil {
		ask.To = &q.To.s
	}
	err := q.Read.set(&ask)
	bad := ask.Check()
	switch {
	case err != nil:
	case bad != nil:
		err = fmt.Errorf("%w: %w", ErrInvalid, bad)
	case q.Limit < 0:
		err = fmt.Errorf("%w: a limit of %d objects; 0 is for all", ErrInvalid, q.Limit)
	case ask.From != nil && ask.To != nil && compareKeys(ask.From, ask.To) > 0:
		err = fmt.Errorf("%w: nothing is from %v to %v; From is the smaller one, also with Desc", ErrInvalid, q.From.Value(), q.To.Value())
	}
	if err != nil {
		return func(yield func(*op.Object, error) bool) { yield(nil, err) }
	}
	order := byKey
	if q.Desc {
		order = func(a, b *op.Object) int { return byKey(b, a) }
	}
	return c.everywhere(ask, order).objects(ctx)
}

func byKey(a, b *op.Object) int {
	return cmp.Or(compareKeys(&a.Key, &b.Key), byName(a, b))
}

func compareKeys(a, b *op.Scalar) int {
	if c := cmp.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	switch a.Kind {
	case op.Bool:
		switch {
		case a.Bool == b.Bool:
			return 0
		case b.Bool:
			return -1
		}
		return 1
	case op.Number:
		return cmp.Compare(a.Number, b.Number)
	}
	return cmp.Compare(a.String, b.String)
}
