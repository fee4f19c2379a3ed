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

// streams are watches over many roots at once: of a prefix, and of the index that queries ask. Each write of such a
// root raises its revision by one and is told, so of each root a watch tells revisions one after the other, none left
// out and none twice, wherever its partition moves and however often the watch is given up and resumed.
type streams struct {
	meter *meter
	each  []*stream
}

// stream is one watch, for one goroutine at a time.
type stream struct {
	opt    appclient.WatchOptions
	roots  []string
	within time.Duration // it may take for what has gathered in the end

	mu     sync.Mutex
	begun  bool
	broken bool              // it cannot go on
	before map[string]uint64 // revisions at some moment before the watch began
	after  map[string]uint64 // and after that
	seen   map[string]uint64 // the newest told
	end    map[string]uint64 // what there is when all is over
	wrong  complaints
}

const (
	streamPrefix  = "stream/"
	streamRoots   = 6
	streamWriters = 2
)

func newStreams(m *meter) *streams {
	return &streams{meter: m, each: []*stream{
		newStream(appclient.WatchOptions{Prefix: streamPrefix}, streamPrefix, streamRoots),
		newStream(appclient.WatchOptions{Index: queryIndex}, queryPrefix, queryRoots), // which others write
	}}
}

func newStream(o appclient.WatchOptions, prefix string, roots int) *stream {
	s := &stream{opt: o, within: caughtUpWithin, before: make(map[string]uint64), after: make(map[string]uint64), seen: make(map[string]uint64), end: make(map[string]uint64)}
	for i := range roots {
		s.roots = append(s.roots, fmt.Sprint(prefix, i))
	}
	return s
}

// clients: writers, and a watcher for each watch.
func (k *streams) clients() int { return streamWriters + len(k.each) }

func (k *streams) run(ctx context.Context, c *appclient.Client, id int) {
	if id >= streamWriters {
		s, rng := k.each[id-streamWriters], rand.New(rand.NewPCG(10, uint64(id)))
		for ctx.Err() == nil && !s.broken {
			if k.meter.do(ctx, func(ctx context.Context) error { return s.begin(ctx, c) }) == applied && s.begun {
				s.follow(ctx, c, 1+rng.IntN(resumeAfter))
			}
		}
		return
	}
	w := k.meter.writer()
	defer w.ended()
	for n := 0; ctx.Err() == nil; n++ {
		root := c.Root(k.each[0].roots[id+n%(streamRoots/streamWriters)*streamWriters])
		if k.meter.do(ctx, func(ctx context.Context) error {
			_, err := root.Put(ctx, objectName(n%5), fmt.Append(nil, n))
			return err
		}) == applied {
			w.acknowledged()
		}
	}
}

// begin fixes where the watch begins, and between which revisions of each root that was. An index that a data node has
// not heard of is not there yet.
func (s *stream) begin(ctx context.Context, c *appclient.Client) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun {
		return nil
	}
	if err := s.revisions(ctx, c, s.before); err != nil {
		return err
	}
	w := c.Watch(s.opt)
	if err := w.Begin(ctx); err != nil {
		return err
	}
	s.opt.From = w.Token()
	err := s.revisions(ctx, c, s.after)
	s.begun = err == nil
	if err != nil {
		s.opt.From = ""
	}
	return err
}

// revisions reads those of all roots; of one that nobody has written it is 0.
func (s *stream) revisions(ctx context.Context, c *appclient.Client, into map[string]uint64) error {
	for _, root := range s.roots {
		revision, err := c.Root(root).Revision(ctx)
		if err != nil && !errors.Is(err, appclient.ErrNotFound) {
			return err
		}
		into[root] = revision
	}
	return nil
}

// follow watches for a number of events; negative: until all that there was is told.
func (s *stream) follow(ctx context.Context, c *appclient.Client, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := c.Watch(s.opt)
	for e, err := range w.Events(ctx) {
		if err != nil {
			s.ended(ctx, err)
			break
		}
		s.told(e.Root, e.Revision)
		if count--; count == 0 || count < 0 && s.behind() == "" {
			break
		}
	}
	if t := w.Token(); t != "" {
		s.opt.From = t
	}
}

// told checks an event.
func (s *stream) told(root string, revision uint64) {
	last, known := s.seen[root]
	switch {
	case known && revision != last+1:
		s.wrong.add("the watch of %s told of revision %d of %s behind %d", s, revision, root, last)
	case !known && (revision <= s.before[root] || revision > s.after[root]+1):
		s.wrong.add("the watch of %s told of revision %d of %s at first; it began between %d and %d", s, revision, root, s.before[root], s.after[root])
	}
	s.seen[root] = revision
}

// ended notes why a watch ended, as a feed does.
func (s *stream) ended(ctx context.Context, err error) {
	weather := ctx.Err() != nil || errors.Is(err, appclient.ErrUnavailable) || errors.Is(err, appclient.ErrOverloaded)
	if weather || s.opt.Index != "" && errors.Is(err, appclient.ErrNotFound) {
		return
	}
	s.broken = true
	s.wrong.add("the watch of %s: %v", s, err)
}

func (s *stream) String() string {
	if s.opt.Index != "" {
		return "index " + s.opt.Index
	}
	return "prefix " + s.opt.Prefix
}

// behind says what has not been told of what there is in the end; nothing: all has been.
func (s *stream) behind() string {
	for _, root := range s.roots {
		come, known := s.seen[root]
		if !known {
			come = s.after[root] // nothing had to be told up to there
		}
		if come < s.end[root] {
			return fmt.Sprintf("the watch of %s has come to revision %d of %s, of %d", s, come, root, s.end[root])
		}
	}
	return ""
}

func (k *streams) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	for _, s := range k.each {
		if err := s.judge(ctx, c, v); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	if !s.begun {
		v.complain(&v.Wrong, 1, "the watch of %s never began", s)
		return nil
	}
	if err := s.revisions(ctx, c, s.end); err != nil {
		return fmt.Errorf("revisions of %s: %w", s, err)
	}
	rest, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	for s.behind() != "" && rest.Err() == nil && len(s.wrong.all) == 0 {
		s.follow(rest, c, -1)
	}
	s.wrong.judge(v)
	if why := s.behind(); why != "" {
		v.complain(&v.Wrong, 1, "%s", why)
	}
	return nil
}
