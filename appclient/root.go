package appclient

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// Root is a root object with the tree of objects under it: the unit of
// sharding and of atomicity. It is a value; copying it is free.
type Root struct {
	c    *Client
	name string
	op   OpID // of the next write, if its caller chose it
}

// Name returns the root's name.
func (r Root) Name() string { return r.name }

// Put creates or replaces the object at path, its value and its references, and
// returns its new version.
// Errors: the write errors; ErrConflict with a condition only.
func (r Root) Put(ctx context.Context, path string, value []byte, opts ...MutationOption) (version uint64, err error) {
	return r.one(ctx, Put(path, value, opts...))
}

// Delete removes the object at path; there being none is no error.
// Errors: as of Put.
func (r Root) Delete(ctx context.Context, path string, opts ...MutationOption) error {
	_, err := r.one(ctx, Delete(path, opts...))
	return err
}

// Create is Put that applies only if there is no object at path. Errors: as of Put.
func (r Root) Create(ctx context.Context, path string, value []byte, opts ...MutationOption) (version uint64, err error) {
	m := Put(path, value, opts...)
	m.restrict(was(0))
	return r.one(ctx, m)
}

// CompareAndSwap is Put that applies only if the object has the version;
// version 0 means that there must be none. Errors: as of Put.
func (r Root) CompareAndSwap(ctx context.Context, path string, version uint64, value []byte, opts ...MutationOption) (newVersion uint64, err error) {
	m := Put(path, value, opts...)
	m.restrict(was(version))
	return r.one(ctx, m)
}

// one applies a single mutation.
func (r Root) one(ctx context.Context, m Mutation) (version uint64, err error) {
	in := [1]Mutation{m}
	c, err := r.write(ctx, in[:])
	if err != nil {
		return 0, err
	}
	version = c.wres.Items[0].Version
	r.c.engine.recycle(c)
	return version, nil
}

// BatchResult is what a batch did.
type BatchResult struct {
	Revision uint64 // the root's revision after it
	// Versions are those of the mutations' objects, in order; 0 where there is
	// none. CheckRevision is no mutation here.
	Versions []uint64
	// Counts are the values of the counters that were added to, in the places of
	// their mutations; 0 for other mutations.
	Counts []int64
}

func batchResult(r *op.WriteResult) *BatchResult {
	res := &BatchResult{Revision: r.Revision, Versions: make([]uint64, len(r.Items)), Counts: make([]int64, len(r.Items))}
	for i, it := range r.Items {
		res.Versions[i], res.Counts[i] = it.Version, it.Count
	}
	return res
}

// Batch applies all mutations atomically, or none of them: one log entry, one revision
// of the root. No path may be named twice. The values must not be changed until it has
// returned. A batch of nothing but checks changes nothing. Errors: as of Put.
func (r Root) Batch(ctx context.Context, mutations ...Mutation) (*BatchResult, error) {
	c, err := r.write(ctx, mutations)
	if err != nil {
		return nil, err
	}
	res := batchResult(&c.wres)
	r.c.engine.recycle(c)
	return res, nil
}

// write carries a batch through. The call that it returns holds an OK result
// with one item a mutation; on error it was dealt with.
func (r Root) write(ctx context.Context, mutations []Mutation) (*call, error) {
	c, err := r.submit(mutations)
	if err != nil {
		return nil, err
	}
	return r.await(ctx, c)
}

// submit checks a batch and sends it on its way.
func (r Root) submit(mutations []Mutation) (*call, error) {
	e := r.c.engine
	c := e.pool.Get().(*call)
	c.kind = writeCall
	c.write.Root = r.name
	tooLarge, err := false, c.setMutations(mutations)
	if err == nil {
		tooLarge, err = c.write.Check()
	}
	switch {
	case err == nil && !r.op.IsZero():
		if err = e.checkID(r.op, r.name); err == nil {
			c.given, c.write.Session, c.write.Seq = true, r.op.session, r.op.seq
		}
	case tooLarge:
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if size := wire.WriteSize(&c.write); err == nil && size > 2*op.MaxBatch && !e.faults.anySize {
		err = fmt.Errorf("%w: batch on root %s has up to %d bytes of XML, where ' \" & < > take five or six; the limit is %d: split it", ErrTooLarge, quote(r.name), size, 2*op.MaxBatch)
	}
	if err == nil {
		err = e.submit(c, e.partitionOf(r.name))
	}
	if err != nil {
		c.reset()
		e.pool.Put(c)
		return nil, r.wrap("write", err)
	}
	return c, nil
}

// await waits for a batch that was submitted.
func (r Root) await(ctx context.Context, c *call) (*call, error) {
	e := r.c.engine
	err := e.wait(ctx, c)
	switch {
	case err != nil:
	case len(c.wres.Items) != len(c.write.Mutations):
		e.mu.Lock()
		err = e.unknown(c, fmt.Errorf("the answer has %d items for %d mutations", len(c.wres.Items), len(c.write.Mutations)))
		e.mu.Unlock()
	case c.wres.Code == op.OK:
		return c, nil
	default:
		err = conflict(c)
	}
	e.recycle(c)
	return nil, r.wrap("write", err)
}

// conflict names the first condition that did not hold.
func conflict(c *call) error {
	root := c.write.Root
	for i, it := range c.wres.Items {
		if it.Code == op.Conflict || it.Code == op.Invalid {
			m := &c.write.Mutations[i]
			return &ConflictError{
				Root: root, Path: m.Path, Version: it.Version, Counter: it.Code == op.Invalid, wanted: m.Cond,
				items: slices.Clone(c.wres.Items), revision: c.wres.Revision,
			}
		}
	}
	if c.write.RootCond.Kind != op.Always {
		return fmt.Errorf("%w: root %q has revision %d, not %d", ErrConflict, root, c.wres.Revision, c.write.RootCond.Version)
	}
	return ErrConflict
}

// quote quotes a name for an error, which has room for a valid one.
func quote(name string) string {
	if len(name) <= op.MaxRoot {
		return strconv.Quote(name)
	}
	return strconv.Quote(strings.ToValidUTF8(name[:shownOfName], "")) + "…"
}

// shownOfName is how much of a name that is too long its error shows, in bytes.
const shownOfName = 32

func (r Root) wrap(what string, err error) error {
	return fmt.Errorf("%s root %s: %w", what, quote(r.name), err)
}
