package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

// watchers follow roots that others write. Every write of such a root raises its
// revision by one, so what a watch tells must be the revisions 1, 2, 3… with
// none left out and none twice, through whatever happens and however often the
// watch is given up and resumed.
type watchers struct {
	meter *meter
	feeds [feedCount]feed
}

type feed struct {
	mu         sync.Mutex
	token      appclient.Token
	seen       uint64 // the newest revision told
	complaints []string
	broken     int
}

const (
	feedCount = 2
	// resumeAfter is how many events a watch is given up after, at most.
	resumeAfter = 200
	// caughtUpWithin is how long a watcher may take for what has gathered.
	caughtUpWithin = time.Minute
)

// clients: a writer and a watcher for each feed.
func (k *watchers) clients() int { return 2 * feedCount }

func feedRoot(i int) string { return fmt.Sprintf("feed/%d", i) }

func (k *watchers) run(ctx context.Context, c *appclient.Client, id int) {
	i := id % feedCount
	if id < feedCount {
		k.write(ctx, c, i)
		return
	}
	rng := rand.New(rand.NewPCG(6, uint64(id)))
	for ctx.Err() == nil {
		k.feeds[i].follow(ctx, c.Root(feedRoot(i)), 1+rng.IntN(resumeAfter), 0)
	}
}

func (k *watchers) write(ctx context.Context, c *appclient.Client, i int) {
	w := k.meter.writer()
	defer w.ended()
	for n := 0; ctx.Err() == nil; n++ {
		if k.meter.do(ctx, func(ctx context.Context) error {
			_, err := c.Root(feedRoot(i)).Put(ctx, objectName(n%7), fmt.Append(nil, n))
			return err
		}) == applied {
			w.acknowledged()
		}
	}
}

// follow watches for a number of events, or up to a revision that is not 0.
func (f *feed) follow(ctx context.Context, root appclient.Root, count int, upTo uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var start uint64
	w := root.Watch(appclient.WatchOptions{From: f.token, AfterRevision: &start})
	for e, err := range w.Events(ctx) {
		if err != nil {
			f.ended(ctx, err)
			break
		}
		if e.Revision != f.seen+1 {
			f.broken++
			f.complaints = append(f.complaints, fmt.Sprintf("root %s: the watch told of revision %d behind %d", root.Name(), e.Revision, f.seen))
		}
		f.seen = e.Revision
		if count--; count == 0 || f.seen == upTo {
			break
		}
	}
	if t := w.Token(); t != "" {
		f.token = t
	}
}

// ended notes why a watch ended. That the store is not there for a while is no
// fault of the watch, which then goes on where it was.
func (f *feed) ended(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, appclient.ErrUnavailable) || errors.Is(err, appclient.ErrOverloaded) {
		return
	}
	f.broken++
	f.complaints = append(f.complaints, err.Error())
}

func (k *watchers) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	for i := range k.feeds {
		f, root := &k.feeds[i], c.Root(feedRoot(i))
		revision, err := root.Revision(ctx)
		if errors.Is(err, appclient.ErrNotFound) {
			continue // nothing was written
		}
		if err != nil {
			return fmt.Errorf("revision of %s: %w", root.Name(), err)
		}
		rest, cancel := context.WithTimeout(ctx, caughtUpWithin)
		for f.seen < revision && rest.Err() == nil && f.broken == 0 {
			f.follow(rest, root, -1, revision)
		}
		cancel()
		for _, text := range f.complaints {
			v.complain(&v.Wrong, 1, "%s", text)
		}
		if f.seen != revision {
			v.complain(&v.Wrong, 1, "the watch of %s has come to revision %d of %d", root.Name(), f.seen, revision)
		}
	}
	return nil
}
