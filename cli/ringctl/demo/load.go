package demo

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"golang.org/x/sync/errgroup"
)

const (
	// batchBytes bounds the values of one batch, to keep many roots moving at
	// once; a single larger file makes a batch of its own.
	batchBytes   = 128 << 10
	batchObjects = 128
	loadWorkers  = 16
	// opTimeout is how long one operation may take, fail-over included.
	opTimeout = 15 * time.Second
)

// manifest is what was acknowledged: the hash of every object by root and path.
type manifest struct {
	mu      sync.Mutex
	objects map[object][sha256.Size]byte
	bytes   int64 // of all values
}

type object struct{ root, path string }

func newManifest() *manifest {
	return &manifest{objects: make(map[object][sha256.Size]byte)}
}

func (m *manifest) add(root string, batch []pending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range batch {
		m.objects[object{root, o.path}] = sha256.Sum256(o.value)
		m.bytes += int64(len(o.value))
	}
}

// pending is an object of a batch that is being filled.
type pending struct {
	path  string
	value []byte
	refs  []appclient.Ref
}

// load writes every package as a root object with its files under it, and the
// index that refers to all of them. It returns what was acknowledged.
func load(ctx context.Context, c *appclient.Client, d *Dataset, p *progress) (*manifest, error) {
	m := newManifest()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(loadWorkers)
	for i := range d.Packages {
		g.Go(func() error {
			l := rootLoader{c: c, root: d.Packages[i].Name, m: m, p: p}
			return l.pkg(ctx, d, &d.Packages[i])
		})
	}
	g.Go(func() error {
		l := rootLoader{c: c, root: indexRoot, m: m, p: p}
		var refs []appclient.Ref
		for i := range d.Packages {
			refs = append(refs, appclient.Ref{Root: d.Packages[i].Name})
		}
		l.put(pending{value: d.index(), refs: refs})
		return l.flush(ctx)
	})
	return m, g.Wait()
}

// rootLoader fills batches for one root.
type rootLoader struct {
	c     *appclient.Client
	root  string
	m     *manifest
	p     *progress
	batch []pending
	bytes int
}

func (l *rootLoader) pkg(ctx context.Context, d *Dataset, p *Package) error {
	value, err := p.summary()
	if err != nil {
		return fmt.Errorf("describe package %s: %w", p.Name, err)
	}
	var refs []appclient.Ref
	for _, i := range p.Imports {
		refs = append(refs, appclient.Ref{Root: i})
	}
	l.put(pending{value: value, refs: refs})
	for _, file := range p.Files {
		content, err := d.Read(p, file)
		if err != nil {
			return err
		}
		if l.bytes+len(content) > batchBytes || len(l.batch) == batchObjects {
			if err := l.flush(ctx); err != nil {
				return err
			}
		}
		l.put(pending{path: file, value: content})
	}
	return l.flush(ctx)
}

func (l *rootLoader) put(o pending) {
	l.batch = append(l.batch, o)
	l.bytes += len(o.value)
}

// flush writes the batch atomically.
func (l *rootLoader) flush(ctx context.Context) error {
	if len(l.batch) == 0 {
		return nil
	}
	mutations := make([]appclient.Mutation, len(l.batch))
	for i, o := range l.batch {
		mutations[i] = appclient.Put(o.path, o.value, appclient.WithRefs(o.refs...))
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if _, err := l.c.Root(l.root).Batch(ctx, mutations...); err != nil {
		return fmt.Errorf("write %d objects of root %s: %w", len(l.batch), l.root, err)
	}
	l.m.add(l.root, l.batch)
	l.p.add(len(l.batch), int64(l.bytes))
	l.batch, l.bytes = l.batch[:0], 0
	return nil
}
