package appclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Tx is a transaction on one root, inside Root.Update. It belongs to the function
// that it was given to, and is not safe for concurrent use.
type Tx struct {
	ctx      context.Context
	root     Root
	seen     map[string]uint64 // versions of what was read before a list; 0: there was nothing
	listed   bool
	revision uint64 // of the root, at the first list or else the first read
	torn     error  // an object was read twice and has changed in between
	mixed    bool   // reads showed several revisions, or one that is vague
	writes   map[string]Mutation
	order    []string // of writes
}

// Get reads an object: as the transaction has written it, else as it is stored.
// Errors: ErrNotFound, ErrInvalid after an Add in the same transaction; those of Root.Get.
func (tx *Tx) Get(path string) (*Object, error) {
	if w, written := tx.writes[path]; written {
		switch w.m.Kind {
		case op.Put:
			return &Object{Root: tx.root.name, Path: path, Value: bytes.Clone(w.m.Value), Refs: fromRefs(w.m.Refs)}, nil
		case op.Delete:
			return nil, tx.root.wrap("get from", notFound(path))
		default:
			return nil, tx.root.wrap("get from", fmt.Errorf("%w: %q was added to in this transaction, so its value is not known yet; read it first", ErrInvalid, path))
		}
	}
	o, at, err := tx.root.getAt(tx.ctx, path, nil)
	switch {
	case err == nil:
		tx.see(path, o.Version, at)
	case errors.Is(err, ErrNotFound):
		tx.see(path, 0, at)
	}
	return o, err
}

// see records what was read. If a later look at an object shows something else the
// transaction cannot commit: it may be as it was by then. After a list the root's
// revision stands for all.
func (tx *Tx) see(path string, version uint64, at moment) {
	if tx.listed {
		return
	}
	if len(tx.seen) == 0 {
		tx.revision = at.revision
	}
	tx.mixed = tx.mixed || at.revision != tx.revision || at.vague && !tx.root.c.engine.faults.vagueAccepted
	if was, before := tx.seen[path]; !before {
		tx.seen[path] = version
	} else if was != version {
		tx.torn = tx.changed(path, version)
	}
}

// List yields the stored objects, without what this transaction has written. It
// makes the whole root part of what the transaction depends on. It is never stale:
// o.Read is passed over. An error ends the sequence. Errors: as of Root.List.
func (tx *Tx) List(o ListOptions) iter.Seq2[Entry, error] {
	o.Read = ReadOption{}
	return func(yield func(Entry, error) bool) {
		if err := tx.pin(); err != nil {
			yield(Entry{}, err)
			return
		}
		for e, err := range tx.root.List(tx.ctx, o) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// pin records the root's revision before the first list.
func (tx *Tx) pin() error {
	if tx.listed {
		return nil
	}
	revision, err := tx.root.Revision(tx.ctx)
	if err == nil {
		tx.listed, tx.revision = true, revision
	}
	return err
}

// Put creates or replaces an object when the transaction commits. The last Put or
// Delete of an object counts; a condition of any of them stays. The value is copied.
// What is wrong with it Update tells at the end.
func (tx *Tx) Put(path string, value []byte, opts ...MutationOption) {
	tx.write(Put(path, bytes.Clone(value), opts...))
}

// Delete removes an object when the transaction commits, as Put writes one.
func (tx *Tx) Delete(path string, opts ...MutationOption) { tx.write(Delete(path, opts...)) }

// Add adds to a counter when the transaction commits; several are summed up. What
// is added to and also put or deleted makes the transaction ErrInvalid.
func (tx *Tx) Add(path string, delta int64) { tx.write(Add(path, delta)) }

// write records a mutation. The last one to an object counts, with the condition
// of any of them: they are all about the object as it is stored.
func (tx *Tx) write(m Mutation) {
	before, written := tx.writes[m.m.Path]
	if !written {
		tx.order = append(tx.order, m.m.Path)
		tx.writes[m.m.Path] = m
		return
	}
	switch {
	case before.err != nil:
		m.err = before.err
	case (before.m.Kind == op.Add) != (m.m.Kind == op.Add):
		m.fail("%q is added to and also put or deleted in one transaction: read it and put the sum", m.m.Path)
	case m.m.Kind == op.Add && !fits(before.m.Delta, m.m.Delta):
		m.fail("what is added to %q in one transaction does not fit 64 bits", m.m.Path)
	case m.m.Kind == op.Add:
		m.m.Delta += before.m.Delta
	}
	if cond := before.m.Cond; m.m.Cond.Kind == op.Always {
		m.m.Cond = cond
	} else if cond.Kind != op.Always {
		m.restrict(cond)
	}
	tx.writes[m.m.Path] = m
}

// The pauses of an Update between its attempts.
const (
	firstConflictPause = time.Millisecond
	maxConflictPause   = 100 * time.Millisecond
)

// Update runs a transaction on the root: do reads and writes through tx, and what
// it wrote is applied, all or nothing, if nothing that it has read has changed
// meanwhile. Else all is thrown away and do runs again, after a pause with jitter,
// until ctx ends; so do should have no other effects. Objects that were listed
// count as read, with the whole root. Updates of one client that others were faster than
// go on one after the other on that root, as long as the one whose turn it is takes no longer than two seconds.
//
// It is optimistic: while do runs, its reads may be of different moments, but then it
// never commits. An error of do ends the transaction and is returned as it is.
// A transaction that wrote nothing returns nil only if all that it has read was so at one moment.
// Errors: those of do; ErrConflict if ctx ended between two attempts, for others were
// always faster, or if a condition of the transaction's own does not hold, or an Add is
// not possible, while all that it has read is as it was read; else the write errors.
func (r Root) Update(ctx context.Context, do func(tx *Tx) error) error {
	p := place{turns: &r.c.turns, root: r.name}
	defer p.leave()
	if cause := p.arrive(ctx); cause != nil {
		return r.wrap("write", fmt.Errorf("%w: others write there; the transaction was not applied: %w", ErrConflict, cause))
	}
	pause := firstConflictPause
	for losses := 1; ; losses++ {
		tx := &Tx{ctx: ctx, root: r, seen: make(map[string]uint64), writes: make(map[string]Mutation)}
		if err := do(tx); err != nil {
			return err
		}
		final, err := tx.commit()
		if final || !errors.Is(err, ErrConflict) {
			return err
		}
		if cause := p.lost(ctx, losses, pause); cause != nil {
			return fmt.Errorf("%w; the transaction was not applied: %w", err, cause)
		}
		pause = min(2*pause, maxConflictPause)
	}
}

// commit applies what was written under the condition that what was read is so.
// final says that another attempt would be of no use.
func (tx *Tx) commit() (final bool, err error) {
	if tx.torn != nil && !tx.root.c.engine.faults.updateUnchecked {
		return false, tx.torn
	}
	if c := tx.contradiction(); c != nil {
		if err := tx.atOnce(); err != nil {
			return false, err
		}
		return true, tx.root.wrap("write", c)
	}
	if len(tx.order) > 0 || tx.mixed && len(tx.seen) > 1 && !tx.listed {
		batch := tx.batch()
		_, err = tx.root.Batch(tx.ctx, batch...)
		if len(tx.order) == 0 && errors.Is(err, ErrDenied) {
			return false, tx.together(tx.onlyRead()) // who may only read cannot check in the log
		}
		return tx.ownCondition(batch, err), err
	}
	if tx.listed {
		return false, tx.unchanged()
	}
	return false, nil // all that was read was so at one moment
}

// contradiction is a condition of do's own that what it has read does not meet.
func (tx *Tx) contradiction() *ConflictError {
	for _, path := range tx.order {
		m := tx.writes[path]
		if version, read := tx.seen[path]; read && m.err == nil && !m.m.Cond.Holds(version) {
			return &ConflictError{Root: tx.root.name, Path: path, Version: version, wanted: m.m.Cond}
		}
	}
	return nil
}

// atOnce is ErrConflict unless all that was read was so at one moment: what follows from
// reads of several moments says nothing.
func (tx *Tx) atOnce() error {
	switch {
	case tx.listed:
		return tx.unchanged()
	case tx.mixed && len(tx.seen) > 1:
		return tx.together(slices.Sorted(maps.Keys(tx.seen)))
	}
	return nil
}

// batch is what the transaction has written, with a condition for each thing that it has
// read.
func (tx *Tx) batch() []Mutation {
	batch := make([]Mutation, 0, len(tx.order)+len(tx.seen)+1)
	for _, path := range tx.order {
		m := tx.writes[path]
		if version, read := tx.seen[path]; read {
			m.m.Cond = was(version)
		}
		batch = append(batch, m)
	}
	for _, path := range tx.onlyRead() {
		if !tx.root.c.engine.faults.updateUnchecked {
			batch = append(batch, Check(path, condition(was(tx.seen[path]))))
		}
	}
	if tx.listed {
		batch = append(batch, CheckRevision(tx.revision))
	}
	return batch
}

// unchanged checks that what a transaction that listed has read is so still.
func (tx *Tx) unchanged() error {
	for path, version := range tx.seen { // before the first list
		o, _, err := tx.root.getAt(tx.ctx, path, nil)
		switch {
		case errors.Is(err, ErrNotFound):
			o = &Object{}
		case err != nil:
			return err
		}
		if o.Version != version {
			return tx.changed(path, o.Version)
		}
	}
	now, err := tx.root.now(tx.ctx, nil)
	switch {
	case err != nil:
		return err
	case now.revision != tx.revision:
		return fmt.Errorf("%w: root %q has revision %d, not %d", ErrConflict, tx.root.name, now.revision, tx.revision)
	case now.vague && !tx.root.c.engine.faults.vagueAccepted:
		return fmt.Errorf("%w: objects expire while root %q is listed", ErrConflict, tx.root.name)
	}
	return nil
}

// together reads objects again that a transaction has read, and finds out whether they are
// so at one moment.
func (tx *Tx) together(paths []string) error {
	var first moment
	for i, path := range paths {
		o, at, err := tx.root.getAt(tx.ctx, path, nil)
		switch {
		case errors.Is(err, ErrNotFound):
			o = &Object{}
		case err != nil:
			return err
		}
		if i == 0 {
			first = at
		}
		switch {
		case o.Version != tx.seen[path]:
			return tx.changed(path, o.Version)
		case at.vague || at != first:
			return tx.root.wrap("read", fmt.Errorf("%w: the root changes all the time", ErrConflict))
		}
	}
	return nil
}

// changed says that an object that was read has another version now.
func (tx *Tx) changed(path string, now uint64) error {
	return tx.root.wrap("read", &ConflictError{Root: tx.root.name, Path: path, Version: now, wanted: was(tx.seen[path])})
}

// onlyRead returns the paths that were read and not written, in order.
func (tx *Tx) onlyRead() (paths []string) {
	for path := range tx.seen {
		if _, written := tx.writes[path]; !written {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// ownCondition says that all that was read is as it was read, and that the conflict is
// about a condition of do's own, or an Add that cannot be: another attempt would be the
// same. Where something that was read has changed as well do is to see that first.
func (tx *Tx) ownCondition(batch []Mutation, err error) bool {
	var c *ConflictError
	if !errors.As(err, &c) || tx.listed && c.revision != tx.revision {
		return false
	}
	own := false
	for i, it := range c.items {
		version, read := tx.seen[batch[i].m.Path]
		if read && it.Version != version && !tx.root.c.engine.faults.ownConditionFirst {
			return false
		}
		own = own || it.Code == op.Invalid || it.Code == op.Conflict && !read
	}
	return own
}

func was(version uint64) op.Condition {
	if version == 0 {
		return op.Condition{Kind: op.Absent}
	}
	return op.Condition{Kind: op.VersionIs, Version: version}
}
