package state

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// lookup reads the merged state. It opens a bbolt transaction only if the
// overlays don't know, and keeps it for the next time: beginning one costs more
// than reading. It is given up before anything writes to bbolt, because an open
// transaction keeps pages from being used again and a file from growing.
//
// A partition has one for Apply and one for readers; the lock that guards it is
// held, and in begin the partition's too, so that the transaction and the
// overlays are one picture.
type lookup struct {
	p       *Partition
	tx      *bbolt.Tx
	writes  uint64        // Store.writes before tx was begun
	roots   *bbolt.Bucket // nil: bbolt has nothing of the partition
	objects *bbolt.Bucket
	expiry  *bbolt.Bucket
	index   *bbolt.Bucket
	// empty: bbolt has never seen the root last asked for, so it has no objects of it.
	empty bool
}

// begin makes the buckets readable.
func (l *lookup) begin() error {
	if l.tx != nil {
		return nil
	}
	l.writes = l.p.store.writes.Load()
	tx, err := l.p.store.begin()
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	l.tx = tx
	if b := tx.Bucket(l.p.key); b != nil {
		l.roots, l.objects = b.Bucket(rootsBucket), b.Bucket(objectsBucket)
		l.expiry, l.index = b.Bucket(expiryBucket), b.Bucket(indexBucket)
	}
	return nil
}

// done ends a command or a read.
func (l *lookup) done() {
	l.empty = false
	if l.writes%2 == 1 || l.writes != l.p.store.writes.Load() {
		l.close()
	}
}

// close gives the transaction up.
func (l *lookup) close() {
	if l.tx != nil {
		_ = l.tx.Rollback() // a read transaction: it fails only if closed already
	}
	l.tx, l.roots, l.objects, l.expiry, l.index = nil, nil, nil, nil, nil
}

// revision is the root's revision, 0 for one never written.
func (l *lookup) revision(root []byte) (uint64, error) {
	if r, ok := l.p.active.revision(root); ok {
		return r, nil
	}
	if r, ok := l.p.flushing.revision(root); ok {
		return r, nil
	}
	if err := l.begin(); err != nil {
		return 0, err
	}
	r, err := storedRevision(l.roots, root)
	l.empty = r == 0
	return r, err
}

func storedRevision(roots *bbolt.Bucket, root []byte) (uint64, error) {
	if roots == nil {
		return 0, nil
	}
	rec := roots.Get(root)
	if rec == nil {
		return 0, nil
	}
	payload, err := unseal(root, rec)
	if err != nil {
		return 0, err
	}
	d := binenc.Reader{B: payload}
	r := d.Uvarint()
	if err := d.End(); err != nil {
		return 0, fmt.Errorf("%w: root %q: %w", ErrCorrupt, root, err)
	}
	return r, nil
}

// object is what is at a key, expired or not; the zero object if there is nothing.
// It may alias bbolt's memory, until done.
func (l *lookup) object(root, path []byte) (object, error) {
	p := l.p
	p.keybuf = append(append(append(p.keybuf[:0], root...), 0), path...)
	return l.at(p.keybuf)
}

// at is object by the whole key.
func (l *lookup) at(key []byte) (object, error) {
	p := l.p
	o, ok := p.active.object(key)
	if !ok {
		o, ok = p.flushing.object(key)
	}
	if !ok && !l.empty {
		if err := l.begin(); err != nil {
			return object{}, err
		}
		var err error
		if o, ok, err = storedObject(l.objects, key); err != nil {
			return object{}, err
		}
	}
	if !ok || o.deleted {
		return object{}, nil
	}
	return o, nil
}

// storedObject reads an object, which aliases bbolt's memory.
func storedObject(objects *bbolt.Bucket, key []byte) (object, bool, error) {
	if objects == nil {
		return object{}, false, nil
	}
	rec := objects.Get(key)
	if rec == nil {
		return object{}, false, nil
	}
	payload, err := unseal(key, rec)
	if err != nil {
		return object{}, false, err
	}
	o, err := decodeObject(payload)
	return o, err == nil, err
}
