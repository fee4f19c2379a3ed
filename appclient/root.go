package appclient

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Root is a root object with the tree of objects under it: the unit of
// sharding and of atomicity. It is a value; copying it is free.
type Root struct {
	c    *Client
	name string
}

// Name returns the root's name.
func (r Root) Name() string { return r.name }

// Put creates or replaces the object at path, its value and its references, and
// returns its new version.
// Errors: ErrConflict (with a condition), ErrUnavailable, ErrUnknownOutcome,
// ErrInvalid, ErrTooLarge, ErrDenied, ErrClosed.
func (r Root) Put(ctx context.Context, path string, value []byte, opts ...MutationOption) (version uint64, err error) {
	return r.one(ctx, Put(path, value, opts...))
}

// Delete removes the object at path; there being none is no error.
// Errors: as of Put.
func (r Root) Delete(ctx context.Context, path string, opts ...MutationOption) error {
	_, err := r.one(ctx, Delete(path, opts...))
	return err
}

// CompareAndSwap is Put that applies only if the object has the version;
// version 0 means that there must be none. Errors: as of Put.
func (r Root) CompareAndSwap(ctx context.Context, path string, version uint64, value []byte, opts ...MutationOption) (newVersion uint64, err error) {
	m := Put(path, value, opts...)
	if version == 0 {
		m.m.Cond = op.Condition{Kind: op.Absent}
	} else {
		m.m.Cond = op.Condition{Kind: op.VersionIs, Version: version}
	}
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
	Revision uint64   // the root's revision after it
	Versions []uint64 // of each mutation's object, in order; 0 after a delete
}

// Batch applies all mutations atomically, or none of them. No path may be
// named twice. Errors: as of Put.
func (r Root) Batch(ctx context.Context, mutations ...Mutation) (*BatchResult, error) {
	c, err := r.write(ctx, mutations)
	if err != nil {
		return nil, err
	}
	res := &BatchResult{Revision: c.wres.Revision, Versions: make([]uint64, len(c.wres.Items))}
	for i, it := range c.wres.Items {
		res.Versions[i] = it.Version
	}
	r.c.engine.recycle(c)
	return res, nil
}

// write carries a batch through. The call that it returns holds an OK result
// with one item a mutation; on error it was dealt with.
func (r Root) write(ctx context.Context, mutations []Mutation) (*call, error) {
	e := r.c.engine
	c := e.pool.Get().(*call)
	c.kind = writeCall
	c.write.Root = r.name
	c.setMutations(mutations)
	if tooLarge, err := c.write.Check(); err != nil {
		c.reset()
		e.pool.Put(c)
		if tooLarge {
			return nil, r.wrap("write", fmt.Errorf("%w: %w", ErrTooLarge, err))
		}
		return nil, r.wrap("write", fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	err := e.do(ctx, c, r.name)
	switch {
	case err != nil:
	case len(c.wres.Items) != len(c.write.Mutations):
		err = fmt.Errorf("%w: the answer has %d items for %d mutations", ErrUnknownOutcome, len(c.wres.Items), len(c.write.Mutations))
	case c.wres.Code == op.OK:
		return c, nil
	default:
		err = r.conflict(c)
	}
	e.recycle(c)
	return nil, r.wrap("write", err)
}

// conflict names the first condition that did not hold.
func (r Root) conflict(c *call) error {
	for i, it := range c.wres.Items {
		if it.Code == op.Conflict {
			return &ConflictError{Root: r.name, Path: c.write.Mutations[i].Path, Version: it.Version}
		}
	}
	return ErrConflict
}

func (r Root) wrap(what string, err error) error {
	return fmt.Errorf("%s root %q: %w", what, r.name, err)
}

// Get reads the object at path; path "" is the root object itself. It is
// linearizable. Errors: ErrNotFound, ErrUnavailable, ErrInvalid, ErrDenied,
// ErrClosed.
func (r Root) Get(ctx context.Context, path string) (*Object, error) {
	if err := r.check(path); err != nil {
		return nil, r.wrap("get from", err)
	}
	for {
		o, whole, err := r.get(ctx, path)
		if err != nil {
			return nil, r.wrap("get from", err)
		}
		if whole {
			return o, nil
		}
		// It changed between two pieces: read it anew.
	}
}

func (r Root) check(path string) error {
	if err := op.CheckRoot(r.name); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := op.CheckPath(path); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// maxEmptyPieces is how often in a row an answer may bring nothing of a value
// before the node is taken to be broken.
const maxEmptyPieces = 256

// get reads one version of an object, in pieces if one answer cannot hold it.
// Not whole: it changed under way.
func (r Root) get(ctx context.Context, path string) (o *Object, whole bool, err error) {
	for empty := 0; ; {
		ask := op.Read{Kind: op.Get, Root: r.name, Path: path}
		if o != nil {
			ask.Offset, ask.Version = uint64(len(o.Value)), o.Version
		}
		res, err := r.read(ctx, ask)
		if err != nil {
			return nil, false, err
		}
		switch {
		case res.Code == op.OK && len(res.Objects) == 1:
		case o != nil && (res.Code == op.Conflict || res.Code == op.NotFound):
			return nil, false, nil
		case res.Code == op.NotFound:
			return nil, false, fmt.Errorf("%w: %q", ErrNotFound, path)
		default:
			return nil, false, fmt.Errorf("%w: the answer makes no sense: code %d, %d objects", ErrUnavailable, res.Code, len(res.Objects))
		}
		got := &res.Objects[0]
		if o == nil {
			o = &Object{Root: r.name, Path: path, Version: got.Version, Value: own(got.Value), Refs: fromRefs(got.Refs)}
		} else {
			o.Value = append(o.Value, got.Value...)
		}
		if uint64(len(o.Value)) >= got.Size {
			return o, true, nil
		}
		// Reads of many callers share an answer, and this one may have found no
		// room in it; each answer holds a piece of at least one value.
		if len(got.Value) > 0 {
			empty = 0
		} else if empty++; empty > maxEmptyPieces {
			return nil, false, fmt.Errorf("%w: the value of %q ends early", ErrUnavailable, path)
		}
	}
}

func (r Root) read(ctx context.Context, ask op.Read) (op.ReadResult, error) {
	e := r.c.engine
	c := e.pool.Get().(*call)
	c.kind, c.read = readCall, ask
	err := e.do(ctx, c, r.name)
	res := c.rres
	e.recycle(c)
	return res, err
}

// ListOptions narrow a List.
type ListOptions struct {
	Prefix   string // only paths that begin with it
	After    string // only paths behind it, in byte order; "" begins at the first
	PageSize int    // entries fetched at a time; 0: the node's default
}

// List yields the root's objects in byte order of their paths, without their
// values, fetching page after page. Each page is linearizable; several pages
// are not one snapshot. An error ends the sequence.
// Errors: ErrUnavailable, ErrInvalid, ErrDenied, ErrClosed.
func (r Root) List(ctx context.Context, o ListOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := r.check(o.Prefix); err != nil {
			yield(Entry{}, r.wrap("list", err))
			return
		}
		ask := op.Read{Kind: op.List, Root: r.name, Prefix: o.Prefix, After: o.After, FromStart: o.After == "", Limit: min(o.PageSize, op.MaxListPage)}
		for {
			res, err := r.read(ctx, ask)
			if err != nil {
				yield(Entry{}, r.wrap("list", err))
				return
			}
			for i := range res.Objects {
				got := &res.Objects[i]
				if !yield(Entry{Path: got.Path, Version: got.Version, Size: got.Size, Refs: fromRefs(got.Refs)}, nil) {
					return
				}
			}
			if !res.More || len(res.Objects) == 0 {
				return
			}
			ask.After, ask.FromStart = res.Objects[len(res.Objects)-1].Path, false
		}
	}
}

// maxClone is the largest value that is copied out of the answer it came in, in
// bytes. Without that a small value kept would keep all those that came with it.
const maxClone = 16 << 10

func own(value []byte) []byte {
	if len(value) <= maxClone {
		return bytes.Clone(value)
	}
	return value
}

func fromRefs(in []op.Ref) []Ref {
	if len(in) == 0 {
		return nil
	}
	out := make([]Ref, len(in))
	for i, r := range in {
		out[i] = Ref(r)
	}
	return out
}
