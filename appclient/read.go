package appclient

import (
	"context"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// ReadOption says how a read is to be answered; Stale makes one. The zero value
// is a linearizable read from the partition's leader.
type ReadOption struct {
	stale  bool
	maxAge time.Duration
}

// Stale lets any replica answer, with a state that was the newest at some moment
// within the last maxAge, from 0 to 24 hours; else the read is ErrInvalid. The load spreads over the replicas; those in
// Config.Zone are preferred, and slow ones asked less. Stale(0) is linearizable,
// and each answer costs the replica a question to the leader.
//
// Two stale reads may be answered by two replicas: the second may show an older
// state than the first, within the bound.
func Stale(maxAge time.Duration) ReadOption {
	return ReadOption{true, maxAge}
}

// set makes r a read as the option says.
func (o ReadOption) set(r *op.Read) error {
	if o.maxAge < 0 || o.maxAge > op.MaxAge*time.Millisecond {
		return fmt.Errorf("%w: a read that is stale by %v: 0 to %v are possible", ErrInvalid, o.maxAge, op.MaxAge*time.Millisecond)
	}
	r.Stale, r.MaxAge = o.stale, o.maxAge.Milliseconds()
	return nil
}

// Get reads the object at path; path "" is the root object itself. It is
// linearizable unless Stale. Errors: ErrNotFound, and the read errors.
func (r Root) Get(ctx context.Context, path string, opts ...ReadOption) (*Object, error) {
	o, _, err := r.getAt(ctx, path, opts)
	return o, err
}

// moment is where a root stood when it was read.
type moment struct {
	revision uint64
	// vague: objects have expired that the revision does not count yet, so it may
	// stand for more than one state.
	vague bool
}

func momentOf(res *op.ReadResult) moment { return moment{res.Revision, res.Expiring} }

// getAt also returns the moment at which the object was read, or was not there.
func (r Root) getAt(ctx context.Context, path string, opts []ReadOption) (*Object, moment, error) {
	if err := r.check(path); err != nil {
		return nil, moment{}, r.wrap("get from", err)
	}
	ask := op.Read{Kind: op.Get, Root: r.name, Path: path}
	for _, o := range opts {
		if err := o.set(&ask); err != nil {
			return nil, moment{}, r.wrap("get from", err)
		}
	}
	for {
		o, at, err := r.get(ctx, ask)
		if err != nil {
			return nil, at, r.wrap("get from", err)
		}
		if o != nil {
			return o, at, nil
		}
		// It changed between two pieces: read it anew.
	}
}

// Revision returns the root's revision: how many batches have changed it, expiry
// of its objects included. Where more objects expire at once than one entry of the log
// removes, those that wait for their removal are absent already and not counted yet.
// 0: it was never written to. Errors: the read errors.
func (r Root) Revision(ctx context.Context, opts ...ReadOption) (uint64, error) {
	at, err := r.now(ctx, opts)
	return at.revision, err
}

func (r Root) now(ctx context.Context, opts []ReadOption) (moment, error) {
	if err := r.check(""); err != nil {
		return moment{}, r.wrap("read", err)
	}
	// An offset behind any value: the object itself is not wanted.
	ask := op.Read{Kind: op.Get, Root: r.name, Offset: op.MaxValue}
	for _, o := range opts {
		if err := o.set(&ask); err != nil {
			return moment{}, r.wrap("read", err)
		}
	}
	res, err := r.c.read(ctx, ask, r.c.engine.partitionOf(r.name))
	if err != nil {
		return moment{}, r.wrap("read", err)
	}
	return momentOf(&res), nil
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
// Nil without an error: it changed under way.
func (r Root) get(ctx context.Context, ask op.Read) (*Object, moment, error) {
	res, err := r.c.read(ctx, ask, r.c.engine.partitionOf(r.name))
	switch {
	case err != nil:
		return nil, moment{}, err
	case res.Code == op.OK && len(res.Objects) == 1:
	case res.Code == op.NotFound:
		return nil, momentOf(&res), notFound(ask.Path)
	default:
		return nil, moment{}, nonsense(&res)
	}
	got := &res.Objects[0]
	o := newObject(r.name, got)
	if ok, err := r.rest(ctx, ask, o, got.Size); err != nil || !ok {
		return nil, moment{}, err
	}
	return o, momentOf(&res), nil
}

// notFound names the object that is not there; its root is named around it.
func notFound(path string) error {
	if path == "" {
		return fmt.Errorf("%w: the root object itself", ErrNotFound)
	}
	return fmt.Errorf("%w: path %q", ErrNotFound, path)
}

// rest reads what is missing of an object's value. False: it changed under way.
func (r Root) rest(ctx context.Context, ask op.Read, o *Object, size uint64) (bool, error) {
	for empty := 0; uint64(len(o.Value)) < size; {
		ask.Offset, ask.Version = uint64(len(o.Value)), o.Version
		res, err := r.c.read(ctx, ask, r.c.engine.partitionOf(r.name))
		switch {
		case err != nil:
			return false, err
		case res.Code == op.OK && len(res.Objects) == 1:
		case res.Code == op.Conflict || res.Code == op.NotFound:
			return false, nil
		default:
			return false, nonsense(&res)
		}
		piece := res.Objects[0].Value
		o.Value = append(o.Value, piece...)
		// Reads of many callers share an answer, and this one may have found no
		// room in it; each answer holds a piece of at least one value.
		if len(piece) > 0 {
			empty = 0
		} else if empty++; empty > maxEmptyPieces {
			return false, fmt.Errorf("%w: the value of %q ends early", ErrUnavailable, o.Path)
		}
	}
	return true, nil
}

func nonsense(res *op.ReadResult) error {
	return fmt.Errorf("%w: the answer makes no sense: code %d, %d objects", ErrUnavailable, res.Code, len(res.Objects))
}

// read carries one read through.
func (c *Client) read(ctx context.Context, ask op.Read, partition uint32) (op.ReadResult, error) {
	e := c.engine
	q := e.pool.Get().(*call)
	q.kind, q.read = readCall, ask
	err := e.do(ctx, q, partition)
	res := q.rres
	e.recycle(q)
	return res, err
}

func newObject(root string, o *op.Object) *Object {
	return &Object{Root: root, Path: o.Path, Version: o.Version, Value: o.Value, Refs: fromRefs(o.Refs), Expires: expiry(o.Expires)}
}

func newEntry(o *op.Object) Entry {
	return Entry{Path: o.Path, Version: o.Version, Size: o.Size, Expires: expiry(o.Expires)}
}

func expiry(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
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
