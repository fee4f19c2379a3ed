package state

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Read answers from everything applied so far: a Get with at most
// Options.MaxReadBytes of the value from Offset on, a List with at most Limit
// objects and about that many bytes of paths and references. A damaged record
// is answered Unavailable, so that the client asks another replica later. What
// the result holds may be shared and must not be changed.
func (p *Partition) Read(r *op.Read) op.ReadResult {
	var res op.ReadResult
	var err error
	switch r.Kind {
	case op.Get:
		res, err = p.get(r)
	case op.List:
		res, err = p.list(r)
	case op.Changes:
		res, err = p.changesRead(r)
	default:
		return op.ReadResult{Code: op.Invalid, Text: fmt.Sprintf("unknown kind of read %d", r.Kind)}
	}
	if err != nil {
		return op.ReadResult{Code: op.Unavailable, Text: err.Error()}
	}
	return res
}

func (p *Partition) get(r *op.Read) (op.ReadResult, error) {
	var buf [256]byte
	key := appendKey(buf[:0], r.Root, r.Path)
	root := key[:len(r.Root)]
	p.mu.RLock()
	o, ok := p.overlaid(key)
	res := op.ReadResult{Position: p.pos.index}
	now := p.now()
	var known bool
	res.Revision, known = p.overlaidRevision(root)
	p.mu.RUnlock()
	if ok && known {
		p.answer(&res, r, &o, now, false)
		return res, nil
	}
	l := &lookup{p: p}
	if p.reading.TryLock() {
		defer p.reading.Unlock()
		l = &p.read
		defer l.done()
	} else {
		defer l.close()
	}
	p.mu.RLock()
	o, ok = p.overlaid(key)
	res.Position, now = p.pos.index, p.now()
	res.Revision, known = p.overlaidRevision(root)
	err := l.begin()
	p.mu.RUnlock()
	if err == nil && !known {
		res.Revision, err = storedRevision(l.roots, root)
	}
	copied := false
	if err == nil && !ok {
		o, ok, err = storedObject(l.objects, key)
		copied = ok
	}
	if err != nil {
		return op.ReadResult{}, err
	}
	p.answer(&res, r, &o, now, copied)
	return res, nil
}

// overlaid finds a changed or deleted object. The lock is held.
func (p *Partition) overlaid(key []byte) (object, bool) {
	if o, ok := p.active.object(key); ok {
		return o, true
	}
	return p.flushing.object(key)
}

func (p *Partition) overlaidRevision(root []byte) (uint64, bool) {
	if r, ok := p.active.revision(root); ok {
		return r, true
	}
	return p.flushing.revision(root)
}

// answer completes the result of a Get; copied says that the value must be,
// because it lies in bbolt's memory.
func (p *Partition) answer(res *op.ReadResult, r *op.Read, o *object, now int64, copied bool) {
	switch {
	case !o.live(now) && r.Version != 0:
		res.Code, res.Text = op.Conflict, "the object was deleted meanwhile; read it from the beginning"
		return
	case !o.live(now):
		res.Code = op.NotFound
		return
	case r.Version != 0 && r.Version != o.version:
		res.Code, res.Text = op.Conflict, "the object has changed meanwhile; read it from the beginning"
		return
	}
	value := o.value[min(r.Offset, uint64(len(o.value))):]
	value = value[:min(len(value), p.store.opt.MaxReadBytes)]
	if copied {
		value = bytes.Clone(value)
	}
	res.Code = op.OK
	res.Objects = []op.Object{{
		Path:    r.Path,
		Version: o.version,
		Size:    uint64(len(o.value)),
		Expires: o.expires,
		Value:   value,
		Refs:    decodeRefs(o.refs),
	}}
}

// changed is an object of an overlay.
type changed struct {
	key string
	object
}

// page collects the answer to a List.
type page struct {
	root  int // length of the root's name
	now   int64
	limit int
	room  int // bytes left
	res   op.ReadResult
}

// add appends an object that has not expired; it is false when the page is full.
func (g *page) add(key []byte, o *object) bool {
	if !o.live(g.now) {
		return true
	}
	size := len(key) - g.root + len(o.refs)
	if len(g.res.Objects) == g.limit || len(g.res.Objects) > 0 && size > g.room {
		g.res.More = true
		return false
	}
	g.room -= size
	g.res.Objects = append(g.res.Objects, op.Object{
		Path:    string(key[g.root+1:]),
		Version: o.version,
		Size:    uint64(len(o.value)),
		Expires: o.expires,
		Refs:    decodeRefs(o.refs),
	})
	return true
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
	now, position := p.now(), p.pos.index
	tx, err := p.store.db.Begin(false)
	p.mu.RUnlock()
	if err != nil {
		return op.ReadResult{}, fmt.Errorf("read state: %w", err)
	}
	defer tx.Rollback()
	g := page{root: len(root), now: now, limit: pageLimit(r), room: p.store.opt.MaxReadBytes}
	g.res.Code, g.res.Position = op.OK, position
	b := tx.Bucket(p.key)
	if b != nil && !known {
		if revision, err = storedRevision(b.Bucket(rootsBucket), root); err != nil {
			return op.ReadResult{}, err
		}
	}
	g.res.Revision = revision
	var objects *bbolt.Bucket
	if b != nil {
		objects = b.Bucket(objectsBucket)
	}
	err = merge(objects, over, prefix, []byte(after), g.add)
	return g.res, err
}

// changes lists the root's changed objects in the range, by key. The lock is held.
func (p *Partition) changes(root, prefix, after string) []changed {
	var list []changed
	for _, gen := range []*overlay{p.active, p.flushing} {
		if gen == nil || gen.roots[root] == nil {
			continue
		}
		for _, key := range gen.roots[root].keys {
			if strings.HasPrefix(key, prefix) && key > after {
				list = append(list, changed{key, gen.objects[key]})
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
