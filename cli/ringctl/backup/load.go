package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
)

// Bounds of what is written at a time: batches are atomic, so they are small
// enough to disturb nobody.
const (
	windowObjects = 4096     // between two notes of how far it came
	windowBytes   = 16 << 20 //
	batchObjects  = 128
	batchBytes    = 512 << 10
	writers       = 32
	batchPatience = 2 * time.Minute
)

// Store is what Load needs of a client.
type Store interface {
	Write(ctx context.Context, root string, mutations []appclient.Mutation) error
}

// Loaded is how far a Load has come.
type Loaded struct {
	Objects int64 // of the file, in its order, that are in the store or expired
	Expired int64 // of these, objects that had expired
	Bytes   int64 // of values written now
}

// Load writes the objects of a file but for the first skip ones, which an earlier
// try has written. After each window of objects, all of them written, it calls
// note. Writing an object again is harmless as long as nobody else writes it.
//
// How long an object has to live is reckoned from now when it is sent: it expires
// later than it did by as long as the store takes to write it.
func Load(ctx context.Context, r *Reader, s Store, skip int64, now func() time.Time, note func(Loaded) error) (Loaded, error) {
	var l Loaded
	for {
		w := window{now: now, roots: make(map[string]*rootQueue)}
		err := w.fill(r, &l, skip)
		if err != nil && !errors.Is(err, io.EOF) {
			return l, err
		}
		if werr := w.write(ctx, s); werr != nil {
			return l, werr
		}
		l.Objects, l.Expired, l.Bytes = l.Objects+w.objects, l.Expired+w.expired.Load(), l.Bytes+w.bytes
		if nerr := note(l); nerr != nil {
			return l, nerr
		}
		if err != nil {
			return l, nil
		}
	}
}

// window is a piece of the file, gathered by root.
type window struct {
	now            func() time.Time
	roots          map[string]*rootQueue
	order          []*rootQueue
	objects, bytes int64
	expired        atomic.Int64
}

// rootQueue is what is to be written to a root, in order.
type rootQueue struct {
	root    string
	batches [][]*Object
	paths   map[string]struct{} // of the last batch
	bytes   int                 // of the last batch
}

// fill reads; io.EOF when the file has ended.
func (w *window) fill(r *Reader, l *Loaded, skip int64) error {
	for w.objects < windowObjects && w.bytes < windowBytes {
		o, err := r.Next()
		if err != nil {
			return err
		}
		w.objects++
		if l.Objects+w.objects <= skip {
			continue
		}
		size := len(o.Value())
		w.bytes += int64(size)
		w.add(o, sizeOf(o, size))
	}
	return nil
}

// put makes the write of an object, as of now; false: it has expired.
func put(o *Object, now time.Time) (m appclient.Mutation, alive bool) {
	var opts []appclient.MutationOption
	if o.Expires != 0 {
		left := o.Expires - now.UnixMilli()
		if left <= 0 {
			return m, false
		}
		opts = append(opts, appclient.WithTTL(time.Duration(min(left, op.MaxTTL))*time.Millisecond))
	}
	if len(o.Refs) > 0 {
		refs := make([]appclient.Ref, len(o.Refs))
		for i, ref := range o.Refs {
			refs[i] = appclient.Ref{Root: ref.Root, Path: ref.Path}
		}
		opts = append(opts, appclient.WithRefs(refs...))
	}
	return appclient.Put(o.Path, o.Value(), opts...), true
}

// sizeOf is at least what an object takes of a batch, in bytes: names are counted as
// long as they are in XML when each character has to be escaped.
func sizeOf(o *Object, value int) int {
	const escaped, markup = 6, 32
	n := value + escaped*len(o.Path)
	for _, ref := range o.Refs {
		n += escaped*(len(ref.Root)+len(ref.Path)) + markup
	}
	return n
}

func (w *window) add(o *Object, size int) {
	q := w.roots[o.Root]
	if q == nil {
		q = &rootQueue{root: o.Root}
		w.roots[o.Root] = q
		w.order = append(w.order, q)
	}
	last := len(q.batches) - 1
	_, twice := q.paths[o.Path]
	if last < 0 || twice || len(q.batches[last]) >= batchObjects || q.bytes+size > batchBytes {
		q.batches = append(q.batches, nil)
		q.paths, q.bytes = make(map[string]struct{}), 0
		last++
	}
	q.batches[last] = append(q.batches[last], o)
	q.paths[o.Path] = struct{}{}
	q.bytes += size
}

// write writes everything, roots side by side, and waits for it.
func (w *window) write(ctx context.Context, s Store) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan *rootQueue)
	var wg sync.WaitGroup
	for range min(writers, len(w.order)) {
		wg.Go(func() {
			for q := range todo {
				for _, b := range q.batches {
					if err := w.writeBatch(ctx, s, q.root, b); err != nil {
						cancel(err)
						break
					}
				}
			}
		})
	}
	for _, q := range w.order {
		if ctx.Err() != nil {
			break
		}
		todo <- q
	}
	close(todo)
	wg.Wait()
	return context.Cause(ctx)
}

func (w *window) writeBatch(ctx context.Context, s Store, root string, b []*Object) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	now := w.now()
	mutations := make([]appclient.Mutation, 0, len(b))
	for _, o := range b {
		if m, alive := put(o, now); alive {
			mutations = append(mutations, m)
		}
	}
	w.expired.Add(int64(len(b) - len(mutations)))
	if len(mutations) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, batchPatience)
	defer cancel()
	if err := s.Write(ctx, root, mutations); err != nil {
		return fmt.Errorf("write root %q: %w", root, err)
	}
	return nil
}
