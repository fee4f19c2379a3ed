package appclient

import (
	"context"
	"iter"
)

// Root is a root object with the tree of objects under it: the unit of
// sharding and of atomicity. It is a value; copying it is free.
type Root struct {
	c    *Client
	name string
}

// Name returns the root's name.
func (r Root) Name() string { return r.name }

// Get reads the object at path; path "" is the root object itself.
// Errors: ErrNotFound, ErrUnavailable, ErrInvalid, ErrDenied, ErrClosed.
func (r Root) Get(ctx context.Context, path string) (*Object, error) { return nil, ErrUnavailable }

// Put creates or replaces the object at path, and returns its new version.
// Errors: ErrConflict (with a condition), ErrUnavailable, ErrUnknownOutcome,
// ErrInvalid, ErrTooLarge, ErrDenied, ErrClosed.
func (r Root) Put(ctx context.Context, path string, value []byte, opts ...MutationOption) (version uint64, err error) {
	return 0, ErrUnavailable
}

// Delete removes the object at path; there being none is no error.
// Errors: as of Put.
func (r Root) Delete(ctx context.Context, path string, opts ...MutationOption) error {
	return ErrUnavailable
}

// CompareAndSwap is Put that applies only if the object has the version;
// version 0 means that there must be none. Errors: as of Put.
func (r Root) CompareAndSwap(ctx context.Context, path string, version uint64, value []byte, opts ...MutationOption) (newVersion uint64, err error) {
	return 0, ErrUnavailable
}

// BatchResult is what a batch did.
type BatchResult struct {
	Revision uint64   // the root's revision after it
	Versions []uint64 // of each mutation's object, in order; 0 after a delete
}

// Batch applies all mutations atomically, or none of them. No path may be
// named twice. Errors: as of Put.
func (r Root) Batch(ctx context.Context, mutations ...Mutation) (*BatchResult, error) {
	return nil, ErrUnavailable
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
	return func(yield func(Entry, error) bool) { yield(Entry{}, ErrUnavailable) }
}
