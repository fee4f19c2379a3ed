package appclient

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/op"
)

// feed asks the partitions of a watch for events, as long as Events runs. There
// is one question a partition; the next is asked when its events were taken.
type feed struct {
	w     *Watch
	ready inbox
	asked map[*call]*cursor
	err   error
}

// inbox takes the answers to a watch's questions until their turn comes.
type inbox struct {
	calls chan *call   // with room for all
	room  int64        // for values, bytes
	held  atomic.Int64 // bytes of the values in them
}

// maxHeld is how many bytes of values wait in a client for the consumer of one
// watch or scan. What is beyond is read again when its turn comes.
const maxHeld = 8 << 20

// put takes in a call that has ended. Its values are copied: they must not keep
// all those that came in the same answer.
func (b *inbox) put(c *call) {
	size := eventBytes(&c.rres)
	keep := b.held.Add(size) <= b.room
	if !keep {
		b.held.Add(-size)
	}
	for i := range c.rres.Events {
		ev := &c.rres.Events[i]
		if keep {
			ev.Value = bytes.Clone(ev.Value)
		} else {
			ev.Value = nil
		}
	}
	b.calls <- c
}

// took notes that an answer was taken out.
func (b *inbox) took(res *op.ReadResult) { b.held.Add(-eventBytes(res)) }

func eventBytes(res *op.ReadResult) (n int64) {
	for i := range res.Events {
		n += int64(len(res.Events[i].Value))
	}
	return n
}

func newFeed(w *Watch) *feed {
	f := &feed{w: w, asked: make(map[*call]*cursor)}
	f.ready.calls, f.ready.room = make(chan *call, len(w.cursors)), int64(w.c.room)
	for _, cur := range w.cursors {
		if f.err = f.ask(cur, false); f.err != nil {
			break
		}
	}
	return f
}

// ask sends the question for what is behind a cursor; more says that there is
// something.
func (f *feed) ask(cur *cursor, more bool) error {
	e := f.w.c.engine
	q := e.pool.Get().(*call)
	q.kind, q.read, q.inbox = readCall, f.w.ask, &f.ready
	if cur.byRevision {
		q.read.ByRevision, q.read.SinceRevision = true, cur.since
	} else {
		q.read.Since = cur.since
	}
	q.read.Skip = int(cur.skip)
	if !more {
		q.read.Wait = watchWait.Milliseconds()
	}
	if err := e.submit(q, cur.partition); err != nil {
		q.reset()
		e.pool.Put(q)
		return err
	}
	f.asked[q] = cur
	return nil
}

// next returns the events that come next, of whatever partition.
func (f *feed) next(ctx context.Context) (*cursor, *op.ReadResult, error) {
	if f.err != nil {
		return nil, nil, f.err
	}
	select {
	case q := <-f.ready.calls:
		cur, res, err := f.asked[q], q.rres, q.err
		f.ready.took(&res)
		delete(f.asked, q)
		f.w.c.engine.recycle(q)
		if err == nil {
			err = changesError(&res)
		}
		return cur, &res, err
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
}

func changesError(res *op.ReadResult) error {
	switch res.Code {
	case op.OK:
		return nil
	case op.Compacted:
		return refusalOf(ErrCompacted, res.Text)
	case op.NotFound:
		return refusalOf(ErrNotFound, res.Text)
	}
	return nonsense(res)
}

// end takes the questions back.
func (f *feed) end() {
	e := f.w.c.engine
	e.mu.Lock()
	for q := range f.asked {
		if q.state != finished {
			e.finish(q, errNotNeeded)
		}
	}
	work := len(e.dirty) > 0
	e.mu.Unlock()
	if work {
		e.wake()
	}
}

// event makes an event for the caller, with its whole value.
func (w *Watch) event(ctx context.Context, ev *op.Event) (Event, error) {
	out := Event{Kind: Written, Root: ev.Root, Path: ev.Path, Revision: ev.Revision, Superseded: ev.Superseded}
	switch ev.Kind {
	case op.Written:
	case op.Deleted:
		out.Kind = Deleted
	case op.Expired:
		out.Kind = Expired
	case op.Left:
		out.Kind = Left
	default:
		out.Superseded = true // a kind of a later version: look for yourself
	}
	if w.opt.NoValues || out.Kind != Written || out.Superseded {
		return out, nil
	}
	o := &Object{Path: ev.Path, Version: ev.Revision, Value: ev.Value}
	whole, err := w.c.Root(ev.Root).rest(ctx, op.Read{Kind: op.Get, Root: ev.Root, Path: ev.Path}, o, ev.Size)
	if err != nil {
		return out, fmt.Errorf("value of %q in root %q: %w", ev.Path, ev.Root, err)
	}
	out.Value, out.Superseded = o.Value, !whole
	if !whole {
		out.Value = nil
	}
	return out, nil
}
