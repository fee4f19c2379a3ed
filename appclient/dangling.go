package appclient

import (
	"context"
	"fmt"
	"iter"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Dangling is a weak reference whose target is not there.
type Dangling struct {
	From    Ref    // the object that holds it
	Version uint64 // of that object
	To      Ref
}

// danglingBatch is how many targets are looked up at a time (count).
const danglingBatch = 256

// Dangling yields the references, held by objects of roots with the prefix, whose
// targets do not exist, in the order of Scan. Each target was looked up, after
// its reference was read, by a linearizable read: it was not there at that moment.
// An error ends the sequence. Errors: the read errors.
func (c *Client) Dangling(ctx context.Context, prefix string) iter.Seq2[Dangling, error] {
	return func(yield func(Dangling, error) bool) {
		var waiting []Dangling
		flush := func() bool {
			missing, err := c.missing(ctx, waiting)
			waiting = waiting[:0]
			if err != nil {
				yield(Dangling{}, fmt.Errorf("look for dangling references in %s: %w", quote(prefix), err))
				return false
			}
			for _, d := range missing {
				if !yield(d, nil) {
					return false
				}
			}
			return true
		}
		for o, err := range c.Scan(ctx, ScanOptions{Prefix: prefix}) {
			if err != nil {
				yield(Dangling{}, fmt.Errorf("look for dangling references in %s: %w", quote(prefix), err))
				return
			}
			for _, ref := range o.Refs {
				waiting = append(waiting, Dangling{From: o.Ref(), Version: o.Version, To: ref})
				if len(waiting) == danglingBatch && !flush() {
					return
				}
			}
		}
		flush()
	}
}

// missing returns those whose targets are not there.
func (c *Client) missing(ctx context.Context, refs []Dangling) (out []Dangling, failed error) {
	calls := make(map[Ref]*call)
	for _, d := range refs {
		if _, asked := calls[d.To]; asked {
			continue
		}
		look := op.Read{Kind: op.Get, Root: d.To.Root, Path: d.To.Path, Offset: op.MaxValue}
		q, err := c.startRead(look, c.engine.partitionOf(d.To.Root))
		if err != nil {
			failed = err
			break
		}
		calls[d.To] = q
	}
	gone := make(map[Ref]bool)
	for ref, q := range calls {
		res, err := c.endRead(ctx, q)
		if err != nil && failed == nil {
			failed = err
		}
		gone[ref] = res.Code == op.NotFound
	}
	for _, d := range refs {
		if gone[d.To] {
			out = append(out, d)
		}
	}
	return out, failed
}
