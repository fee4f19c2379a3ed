package state

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// atLeast is how many changed keys a page looks at, at least: many may be deleted.
const atLeast = 1024

// scan answers a page of the objects, or of the roots, of all roots. A look may
// find nothing, where what has changed is deleted; then the next one goes on.
func (p *Partition) scan(r *op.Read) (op.ReadResult, error) {
	look := p.scanObjects
	if r.RootsOnly {
		look = p.scanRoots
	}
	next := *r
	for {
		res, behind, err := look(&next)
		if err != nil || behind == "" || len(res.Objects) > 0 {
			res.More = res.More || behind != ""
			return res, err
		}
		next.FromStart = false
		next.AfterRoot, next.After, _ = strings.Cut(behind, "\x00")
	}
}

// scanObjects looks for a page of objects. behind is where it stopped because it
// does not know what has changed there, if it did.
func (p *Partition) scanObjects(r *op.Read) (res op.ReadResult, behind string, err error) {
	after := ""
	if !r.FromStart {
		after = string(appendKey(nil, r.AfterRoot, r.After))
	}
	p.mu.RLock()
	g := p.newPage(r)
	over, behind := p.look(r.Prefix, after, max(g.limit+1, atLeast))
	tx, err := p.store.begin()
	p.mu.RUnlock()
	if err != nil {
		return op.ReadResult{}, "", fmt.Errorf("read state: %w", err)
	}
	defer tx.Rollback()
	err = merge(sub(tx.Bucket(p.key), objectsBucket), over, []byte(r.Prefix), []byte(after), func(key []byte, o *object) bool {
		return (behind == "" || string(key) <= behind) && g.add(key, o)
	})
	return g.res, behind, err
}

// look lists the changed objects of roots with a prefix, by key, behind after.
// There may be too many: then no others are known above behind. The lock is held.
func (p *Partition) look(prefix, after string, most int) (over []changed, behind string) {
	low := lowest{most: most}
	for _, gen := range []*overlay{p.active, p.flushing} {
		if gen == nil {
			continue
		}
		gen.each(func(c *changed) {
			if c.key > after && strings.HasPrefix(c.key, prefix) {
				low.add(c.key)
			}
		})
	}
	for _, key := range low.take() {
		o, _ := p.overlaid([]byte(key))
		over = append(over, changed{key, o})
	}
	return over, low.behind()
}

// lowest keeps the lowest of many keys, each once; or the highest.
type lowest struct {
	most    int
	highest bool
	keys    []string
	cut     bool // there were more
}

// before is the order of the keys.
func (l *lowest) before(a, b string) bool { return a < b != l.highest && a != b }

func (l *lowest) add(key string) {
	if l.cut && l.before(l.keys[l.most-1], key) {
		return
	}
	if l.keys = append(l.keys, key); len(l.keys) >= 4*l.most {
		l.take()
	}
}

// take sorts what there is.
func (l *lowest) take() []string {
	slices.Sort(l.keys)
	l.keys = slices.Compact(l.keys)
	if l.highest {
		slices.Reverse(l.keys)
	}
	if len(l.keys) > l.most {
		l.keys, l.cut = l.keys[:l.most], true
	}
	return l.keys
}

// behind is the last key if there were more.
func (l *lowest) behind() string {
	if !l.cut {
		return ""
	}
	return l.keys[len(l.keys)-1]
}

// behindRoot is a key behind all objects of a root and before those of any other
// root behind it: a name has no control characters.
func behindRoot(root string) []byte { return append([]byte(root), 1) }

// scanRoots looks for a page of the roots that have objects.
func (p *Partition) scanRoots(r *op.Read) (res op.ReadResult, behind string, err error) {
	p.mu.RLock()
	g := p.newPage(r)
	low := lowest{most: max(g.limit+1, atLeast)}
	for _, gen := range []*overlay{p.active, p.flushing} {
		if gen == nil {
			continue
		}
		for root := range gen.roots {
			if (r.FromStart || root > r.AfterRoot) && strings.HasPrefix(root, r.Prefix) {
				low.add(root)
			}
		}
	}
	w := rootWalk{page: &g, prefix: r.Prefix, over: make(map[string][]changed)}
	for _, root := range low.take() {
		w.over[root] = p.changes(root, "", "")
	}
	tx, err := p.store.begin()
	p.mu.RUnlock()
	if err != nil {
		return op.ReadResult{}, "", fmt.Errorf("read state: %w", err)
	}
	defer tx.Rollback()
	w.objects = sub(tx.Bucket(p.key), objectsBucket)
	start := []byte(r.Prefix)
	if !r.FromStart {
		if after := behindRoot(r.AfterRoot); bytes.Compare(after, start) > 0 {
			start = after
		}
	}
	behind, err = w.run(low.keys, low.cut, start)
	return g.res, behind, err
}

// rootWalk goes through roots, those of bbolt and those that have changed.
type rootWalk struct {
	page    *page
	prefix  string
	objects *bbolt.Bucket
	over    map[string][]changed
}

// run visits the roots in order. last is the one it stopped at because the changed
// ones behind are not known.
func (w *rootWalk) run(changed []string, cut bool, start []byte) (last string, err error) {
	var c *bbolt.Cursor
	var key []byte
	if w.objects != nil {
		c = w.objects.Cursor()
		key, _ = c.Seek(start)
	}
	for {
		root := ""
		if key != nil && strings.HasPrefix(string(key), w.prefix) {
			root = string(rootOf(key))
		}
		if len(changed) > 0 && (root == "" || changed[0] <= root) {
			root, changed = changed[0], changed[1:]
		} else if cut && len(changed) == 0 {
			return last, nil
		}
		if root == "" {
			return "", nil
		}
		last = root
		full, err := w.visit(root)
		if err != nil || full {
			return "", err
		}
		if c != nil {
			key, _ = c.Seek(behindRoot(root))
		}
	}
}

// visit adds the root if it has any object.
func (w *rootWalk) visit(root string) (full bool, err error) {
	prefix := appendKey(nil, root, "")
	err = merge(w.objects, w.over[root], prefix, nil, func(key []byte, o *object) bool {
		if !o.live(w.page.now) {
			return true
		}
		if len(key) > len(prefix) {
			// There is no root object.
			key, o = prefix, &object{}
		}
		_, ok := w.page.object(key, o)
		full = !ok
		return false
	})
	return full, err
}
