package state

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// RootView is one root as it is at one applied position, whatever is applied
// afterwards. It holds a transaction of the file open, so that it must be closed
// soon. It is for one goroutine at a time. Values are valid until Close and must
// not be changed.
type RootView struct {
	p        *Partition
	tx       *bbolt.Tx
	objects  *bbolt.Bucket // nil: the file has none of the partition
	over     []changed     // by key
	prefix   []byte        // of the root's keys
	revision uint64
	position uint64
	now      int64
}

// ViewRoot opens a view of what is applied so far, without waiting. Errors:
// ErrCorrupt while the replica is damaged, and those of reading the file.
func (p *Partition) ViewRoot(root string) (*RootView, error) {
	if err := p.Damaged(); err != nil {
		return nil, fmt.Errorf("this replica is damaged and being repaired: %w", err)
	}
	v := &RootView{p: p, prefix: appendKey(nil, root, "")}
	err := p.store.guard(func() error { return v.open(root) })
	if err != nil {
		v.Close()
		p.noticed(err)
		return nil, err
	}
	return v, nil
}

func (v *RootView) open(root string) error {
	p := v.p
	p.mu.RLock()
	v.over = p.changes(root, "", "")
	v.position, v.now = p.pos.index, p.now()
	revision, known := p.overlaidRevision([]byte(root))
	tx, err := p.store.begin()
	p.mu.RUnlock()
	if err != nil {
		return err
	}
	v.tx = tx
	b := tx.Bucket(p.key)
	v.objects = sub(b, objectsBucket)
	if b != nil && !known {
		if revision, err = storedRevision(b.Bucket(rootsBucket), []byte(root)); err != nil {
			return err
		}
	}
	v.revision = revision
	return nil
}

// Close ends the view. Only the first call does something.
func (v *RootView) Close() {
	if v.tx != nil {
		_ = v.tx.Rollback() // a read transaction: it fails only if closed already
		v.tx = nil
	}
}

// Revision is the root's; 0 for one that was never written.
func (v *RootView) Revision() uint64 { return v.revision }

// Position is the partition's position that the view shows.
func (v *RootView) Position() uint64 { return v.position }

// Get finds an object. Without Refs. Errors: ErrCorrupt.
func (v *RootView) Get(path string) (o op.Object, ok bool, err error) {
	err = v.p.store.guard(func() error {
		o, ok, err = v.get(path)
		return err
	})
	if err != nil {
		v.p.noticed(err)
	}
	return o, ok, err
}

func (v *RootView) get(path string) (op.Object, bool, error) {
	key := append(slices.Clip(v.prefix), path...)
	i, found := slices.BinarySearchFunc(v.over, string(key), func(c changed, key string) int { return strings.Compare(c.key, key) })
	var o object
	if found {
		o = v.over[i].object
	} else {
		var err error
		if o, found, err = storedObject(v.objects, key); err != nil {
			return op.Object{}, false, err
		}
	}
	if !found || !o.live(v.now) {
		return op.Object{}, false, nil
	}
	return plain(key[len(v.prefix):], &o), true, nil
}

func plain(path []byte, o *object) op.Object {
	return op.Object{Path: string(path), Version: o.version, Size: uint64(len(o.value)), Expires: o.expires, Value: o.value}
}

// Scan visits the objects whose paths are in [from, to), "" being no bound above,
// upwards or downwards, until visit returns false. Without Refs. Errors: ErrCorrupt.
func (v *RootView) Scan(from, to string, down bool, visit func(o op.Object) bool) error {
	s := rootScan{v: v, low: append(slices.Clip(v.prefix), from...), high: behindRoot(string(v.prefix[:len(v.prefix)-1])), down: down}
	if to != "" {
		s.high = append(slices.Clip(v.prefix), to...)
	}
	s.over = slices.DeleteFunc(slices.Clone(v.over), func(c changed) bool { return c.key < string(s.low) || c.key >= string(s.high) })
	if down {
		slices.Reverse(s.over)
	}
	for {
		// Not around visit: its panics are the caller's.
		key, o, err := s.step()
		if err != nil {
			v.p.noticed(err)
			return err
		}
		if key == nil || !visit(plain(key[len(v.prefix):], &o)) {
			return nil
		}
	}
}

// rootScan goes through a range of a root's keys: those of the file, as changed by
// the overlay's.
type rootScan struct {
	v         *RootView
	low, high []byte
	down      bool
	over      []changed // that are left, in the order of the scan
	c         *bbolt.Cursor
	key, rec  []byte // where c is
}

// step finds the next object; no key means that there is none.
func (s *rootScan) step() (key []byte, o object, err error) {
	err = s.v.p.store.guard(func() error {
		key, o, err = s.find()
		return err
	})
	return key, o, err
}

func (s *rootScan) find() (key []byte, o object, err error) {
	if s.c == nil && s.v.objects != nil {
		s.c = s.v.objects.Cursor()
		s.start()
	}
	for {
		here := s.key != nil && bytes.Compare(s.key, s.low) >= 0 && bytes.Compare(s.key, s.high) < 0
		switch {
		case len(s.over) > 0 && (!here || s.over[0].key == string(s.key) || (s.over[0].key < string(s.key)) != s.down):
			if here && s.over[0].key == string(s.key) {
				s.next()
			}
			key, o = []byte(s.over[0].key), s.over[0].object
			s.over = s.over[1:]
		case here:
			payload, err := unseal(s.key, s.rec)
			if err != nil {
				return nil, object{}, err
			}
			key = s.key
			if o, err = decodeObject(payload); err != nil {
				return nil, object{}, err
			}
			s.next()
		default:
			return nil, object{}, nil
		}
		if o.live(s.v.now) {
			return key, o, nil
		}
	}
}

func (s *rootScan) start() {
	if !s.down {
		s.key, s.rec = s.c.Seek(s.low)
		return
	}
	if key, _ := s.c.Seek(s.high); key == nil {
		s.key, s.rec = s.c.Last()
	} else {
		s.key, s.rec = s.c.Prev()
	}
}

func (s *rootScan) next() {
	if s.down {
		s.key, s.rec = s.c.Prev()
	} else {
		s.key, s.rec = s.c.Next()
	}
}
