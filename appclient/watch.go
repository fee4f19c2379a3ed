package appclient

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// EventKind says what happened to an object.
type EventKind uint8

// The kinds of events.
const (
	Written EventKind = iota + 1
	Deleted
	Expired
	// Left: the object is there, but no longer in the index that is watched.
	Left
)

// String names the kind.
func (k EventKind) String() string {
	switch k {
	case Written:
		return "written"
	case Deleted:
		return "deleted"
	case Expired:
		return "expired"
	case Left:
		return "left"
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is one change of one object. It has no references and no expiry: Root.Get
// tells those of the object as it is now.
type Event struct {
	Kind EventKind
	Root string
	Path string
	// Revision is that of the root after the change, and the version of what was
	// Written. All changes of one batch have the same.
	Revision uint64
	// More: another change of the same batch follows, or may follow where a large one
	// comes in pages. To resume by revision, take that of the last event without More.
	More bool
	// Value is what was Written, unless that was Superseded: then the object has
	// changed again, a later event tells how, and this value is gone.
	Value      []byte
	Superseded bool
}

// WatchOptions say what of it is watched, and from where on.
type WatchOptions struct {
	// Prefix narrows a watch of a root to paths, one of the client to roots, that
	// begin with it.
	Prefix string
	// Index watches what enters, changes in or leaves an index instead; of
	// Client.Watch, without a Prefix.
	Index string

	// From goes on where a watch of the same thing was when it gave the token.
	From Token
	// AfterRevision begins behind a revision of the root, if From is empty; of
	// Root.Watch. One that the root has not reached yet is ErrCompacted: after a
	// restore revisions begin anew. With neither, the watch begins with what changes after Begin.
	AfterRevision *uint64

	PageSize int  // most events fetched at a time from a partition; 0: 64
	NoValues bool // only that something changed
}

// Watch is a feed of changes: gap-free, each event once, those of a root in the
// order of its revisions, through reconnects, fail-over and moves of partitions.
// Nothing in the store waits for a watcher; a slow one only falls behind, until
// what it has not seen is forgotten there: ErrCompacted. A partition knows at least
// its last 8,192 batches, fewer only where their keys need more than 4 MiB. In the
// client a watch holds a page of each partition at most.
//
// A Watch is for one goroutine.
type Watch struct {
	c       *Client
	what    string // for people
	ask     op.Read
	opt     WatchOptions
	cursors []*cursor
	begun   bool
	err     error // of the options
}

// cursor is how far a watch has come in a partition.
type cursor struct {
	partition  uint32
	byRevision bool   // since is a revision of the root
	since      uint64 // all up to this position, or revision, was told
	skip       uint64 // and so many events of the next one
}

// told moves the cursor over an event. One by revision stays that: an entry of the log
// may have several revisions of a root, and earlier ones were not asked for.
func (cur *cursor) told(ev *op.Event, faults *faults) {
	at := ev.Position
	if faults.watchMixesUp {
		cur.byRevision = false
	}
	if cur.byRevision {
		at = ev.Revision
	}
	if at != cur.since+1 {
		cur.since, cur.skip = at-1, 0
	}
	cur.skip++
}

// complete moves the cursor to where a page ends: behind its last event, or within
// the events of one position if there are more of them than fit a page. It stays
// where a replica answered that has not come to the cursor's revision yet: from that
// one's position on there are events that were told before.
func (cur *cursor) complete(res *op.ReadResult) {
	if n := len(res.Events); cur.byRevision && n > 0 && res.Events[n-1].Position > res.Position {
		return // the page ends within an entry
	}
	if cur.byRevision && res.Revision >= cur.since+min(cur.skip, 1) || !cur.byRevision && res.Position > cur.since {
		*cur = cursor{partition: cur.partition, since: res.Position}
	}
}

// Watch watches the root.
func (r Root) Watch(o WatchOptions) *Watch {
	w := &Watch{c: r.c, what: fmt.Sprintf("watch root %s", quote(r.name)), opt: o, ask: op.Read{Kind: op.Changes, Root: r.name, Prefix: o.Prefix}}
	w.cursors = []*cursor{{partition: r.c.engine.partitionOf(r.name)}}
	w.check(r.check(o.Prefix), o.Index != "")
	return w
}

// Watch watches all roots with a prefix, or an index.
func (c *Client) Watch(o WatchOptions) *Watch {
	w := &Watch{c: c, what: fmt.Sprintf("watch roots %s", quote(o.Prefix)), opt: o, ask: op.Read{Kind: op.Changes, Prefix: o.Prefix, Index: o.Index}}
	if o.Index != "" {
		w.what = fmt.Sprintf("watch index %s", quote(o.Index))
	}
	for p := range c.engine.parts {
		w.cursors = append(w.cursors, &cursor{partition: uint32(p)})
	}
	w.check(nil, o.AfterRevision != nil)
	return w
}

// The usual page of a watch, and how long a question waits at the node for an
// event before it is asked anew. One that nobody waits for any more is called off.
const (
	watchPage = 64
	watchWait = 25 * time.Second
)

func (w *Watch) check(err error, misplaced bool) {
	w.ask.Limit, w.ask.Values = pageSize(w.opt.PageSize), !w.opt.NoValues
	if w.ask.Limit == 0 {
		w.ask.Limit = watchPage
	}
	if err == nil && misplaced {
		err = fmt.Errorf("%w: a root is watched by prefix and revision, roots by prefix or index", ErrInvalid)
	}
	if bad := w.ask.Check(); err == nil && bad != nil {
		err = fmt.Errorf("%w: %w", ErrInvalid, bad)
	}
	w.err = err
}

// Begin fixes where the watch begins: what is written after Begin has returned
// will be told. Events begins by itself; call Begin before reading what there is
// already, and nothing falls between the two.
// Errors: ErrNotFound (no such index); ErrCompacted if AfterRevision lies ahead of
// the root, which was restored since then; the read errors.
func (w *Watch) Begin(ctx context.Context) error {
	if w.err != nil {
		return fmt.Errorf("%s: %w", w.what, w.err)
	}
	if w.begun {
		return nil
	}
	err := context.Cause(ctx)
	switch {
	case err != nil:
	case w.opt.From != "":
		err = w.opt.From.decode(w.fingerprint(), w.cursors)
		if err == nil && w.c.engine.faults.watchSkips {
			err = w.now(ctx, w.cursors[:1])
		}
	case w.opt.AfterRevision != nil:
		w.cursors[0].byRevision, w.cursors[0].since = true, *w.opt.AfterRevision
	default:
		err = w.now(ctx, w.cursors)
	}
	if err == nil {
		err = w.verify(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.what, err)
	}
	w.begun = true
	return nil
}

// verify finds out at the beginning what would make the watch tell nothing, or
// tell what was before: an index that is not there, a revision that is not yet.
func (w *Watch) verify(ctx context.Context) error {
	cur := w.cursors[0]
	switch {
	case cur.byRevision:
		revision, err := w.c.Root(w.ask.Root).Revision(ctx)
		if err == nil && revision < cur.since+min(cur.skip, 1) {
			err = fmt.Errorf("%w: the root is at revision %d, before %d, so it has begun anew; read it and watch from there", ErrCompacted, revision, cur.since)
		}
		return err
	case w.ask.Index != "":
		look := w.ask
		look.Since, look.Skip, look.Limit, look.Values = cur.since, int(cur.skip), 1, false
		res, err := w.c.read(ctx, look, cur.partition)
		if err != nil {
			return err
		}
		return changesError(&res)
	}
	return nil
}

// now sets cursors to the partitions' present positions.
func (w *Watch) now(ctx context.Context, cursors []*cursor) error {
	calls := make([]*call, len(cursors))
	var failed error
	for i, cur := range cursors {
		// A linearizable look at anything tells the position.
		look := op.Read{Kind: op.Scan, FromStart: true, Limit: 1, RootsOnly: true, Prefix: w.ask.Prefix}
		switch {
		case w.ask.Index != "": // who may read only what it covers may ask nothing else
			look = op.Read{Kind: op.Query, Index: w.ask.Index, Limit: 1}
		case w.ask.Root != "":
			look = op.Read{Kind: op.Get, Root: w.ask.Root, Offset: op.MaxValue}
		}
		if calls[i], failed = w.c.startRead(look, cur.partition); failed != nil {
			calls = calls[:i]
			break
		}
	}
	for i, q := range calls {
		res, err := w.c.endRead(ctx, q)
		if err == nil && w.ask.Index != "" && !w.c.engine.faults.watchUnheard {
			err = changesError(&res) // a partition that has not heard of the index knows no position in it
		}
		if err != nil && failed == nil {
			failed = err
		}
		cursors[i].since = res.Position
	}
	return failed
}

// Token says how far the watch has come: up to the last event that Events has
// yielded, that one included. Empty before Begin.
func (w *Watch) Token() Token {
	if !w.begun {
		return ""
	}
	return encodeToken(w.fingerprint(), w.cursors)
}

// Events yields events as they happen. It ends with an error, that of ctx among
// them, or when the loop is left; called again, it goes on where it was.
// Errors: ErrCompacted; ErrNotFound (no such index); ErrOverloaded if this client
// has too many watches; the other read errors; the cause of ctx's end.
func (w *Watch) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := w.Begin(ctx); err != nil {
			yield(Event{}, err)
			return
		}
		f := newFeed(w)
		defer f.end()
		for {
			cur, res, err := f.next(ctx)
			if err != nil {
				yield(Event{}, fmt.Errorf("%s: %w", w.what, err))
				return
			}
			for i := range res.Events {
				ev := &res.Events[i]
				cur.told(ev, &w.c.engine.faults)
				out, err := w.event(ctx, ev)
				if err != nil {
					yield(Event{}, fmt.Errorf("%s: %w", w.what, err))
					return
				}
				if i+1 < len(res.Events) {
					out.More = res.Events[i+1].Root == ev.Root && res.Events[i+1].Revision == ev.Revision
				} else {
					out.More = res.Position < ev.Position
				}
				if !yield(out, nil) {
					return
				}
			}
			cur.complete(res)
			if err := f.ask(cur, res.More); err != nil {
				yield(Event{}, fmt.Errorf("%s: %w", w.what, err))
				return
			}
		}
	}
}
