package state

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// changed is an object of an overlay.
type changed struct {
	key string
	object
}

// page collects the objects of a read.
type page struct {
	now    int64
	limit  int
	room   int  // bytes left
	roots  bool // objects tell their root
	values bool
	res    op.ReadResult
}

// newPage begins a page at the applied position. The lock is held.
func (p *Partition) newPage(r *op.Read) page {
	g := page{now: p.now(), limit: pageLimit(r), room: p.store.opt.MaxReadBytes, roots: r.Kind != op.List, values: r.Values}
	g.res = op.ReadResult{Code: op.OK, Position: p.pos.index, Time: p.pos.logTime}
	return g
}

// add appends an object that has not expired; it is false when the page is full.
func (g *page) add(key []byte, o *object) bool {
	if !o.live(g.now) {
		return true
	}
	_, ok := g.object(key, o)
	return ok
}

// object appends an object; nil and false when the page is full. A value is given
// whole or ends the page in front of it; only the first may be cut.
func (g *page) object(key []byte, o *object) (*op.Object, bool) {
	root := len(rootOf(key))
	size := len(key)
	if !g.roots {
		size -= root
	}
	if g.values {
		size += len(o.refs) + len(o.value)
	}
	n := len(g.res.Objects)
	if n == g.limit || n > 0 && size > g.room {
		g.res.More = true
		return nil, false
	}
	obj := op.Object{Path: string(key[root+1:]), Version: o.version, Size: uint64(len(o.value)), Expires: o.expires}
	if g.roots {
		obj.Root = string(key[:root])
	}
	if g.values {
		obj.Refs = decodeRefs(o.refs)
		// They may lie in bbolt's memory.
		obj.Value = bytes.Clone(o.value[:min(len(o.value), max(0, g.room))])
	}
	g.room -= size
	g.res.Objects = append(g.res.Objects, obj)
	return &g.res.Objects[n], true
}

func (p *Partition) list(r *op.Read) (op.ReadResult, error) {
	root := []byte(r.Root)
	prefix := appendKey(nil, r.Root, r.Prefix)
	after := "" // no key is empty
	if !r.FromStart {
		after = string(appendKey(nil, r.Root, r.After))
	}
	p.mu.RLock()
	over := p.changes(r.Root, string(prefix), after)
	revision, known := p.overlaidRevision(root)
	g := p.newPage(r)
	g.res.Expiring = p.expiringNow()
	tx, err := p.store.begin()
	p.mu.RUnlock()
	if err != nil {
		return op.ReadResult{}, fmt.Errorf("read state: %w", err)
	}
	defer tx.Rollback()
	b := tx.Bucket(p.key)
	if b != nil && !known {
		if revision, err = storedRevision(b.Bucket(rootsBucket), root); err != nil {
			return op.ReadResult{}, err
		}
	}
	g.res.Revision = revision
	err = merge(sub(b, objectsBucket), over, prefix, []byte(after), g.add)
	return g.res, err
}

// sub is a bucket inside another, nil if either is missing.
func sub(b *bbolt.Bucket, name []byte) *bbolt.Bucket {
	if b == nil {
		return nil
	}
	return b.Bucket(name)
}

// changes lists the root's changed objects in the range, by key. The lock is held.
func (p *Partition) changes(root, prefix, after string) []changed {
	var list []changed
	for _, gen := range []*overlay{p.active, p.flushing} {
		if gen == nil || gen.roots[root] == nil {
			continue
		}
		for _, c := range gen.roots[root].objects {
			if strings.HasPrefix(c.key, prefix) && c.key > after {
				list = append(list, c)
			}
		}
	}
	return newest(list)
}

// newest sorts by key and keeps the first of equal ones.
func newest(list []changed) []changed {
	slices.SortStableFunc(list, func(a, b changed) int { return strings.Compare(a.key, b.key) })
	return slices.CompactFunc(list, func(a, b changed) bool { return a.key == b.key })
}

// merge visits the objects whose keys begin with prefix and lie above after, in
// order: those in bbolt as changed by over. It ends when visit is false.
func merge(objects *bbolt.Bucket, over []changed, prefix, after []byte, visit func(key []byte, o *object) bool) error {
	var c *bbolt.Cursor
	var key, rec []byte
	if objects != nil {
		c = objects.Cursor()
		start := prefix
		if bytes.Compare(after, prefix) > 0 {
			start = after
		}
		if key, rec = c.Seek(start); bytes.Equal(key, after) && key != nil {
			key, rec = c.Next()
		}
	}
	for {
		inRange := key != nil && bytes.HasPrefix(key, prefix)
		switch {
		case len(over) > 0 && (!inRange || over[0].key <= string(key)):
			o := over[0]
			over = over[1:]
			if inRange && o.key == string(key) {
				key, rec = c.Next()
			}
			if !o.deleted && !visit([]byte(o.key), &o.object) {
				return nil
			}
		case inRange:
			payload, err := unseal(key, rec)
			if err != nil {
				return err
			}
			o, err := decodeObject(payload)
			if err != nil {
				return err
			}
			if !visit(key, &o) {
				return nil
			}
			key, rec = c.Next()
		default:
			return nil
		}
	}
}
