package bolt

import (
	"bytes"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// tx is one update within a transaction that it shares with others.
type tx struct {
	reader
	undone []change
	bytes  int // written, keys and values
}

// change is what a write replaced. bbolt leaves keys and values that were read where they are
// until the transaction ends, so nothing is copied.
type change struct {
	bucket   *bbolt.Bucket
	key, old []byte // old is nil if there was no record
}

// undo takes back all changes, the last first.
func (t *tx) undo() error {
	for i := len(t.undone) - 1; i >= 0; i-- {
		c := t.undone[i]
		var err error
		if c.old == nil {
			err = c.bucket.Delete(c.key)
		} else {
			err = c.bucket.Put(c.key, c.old)
		}
		if err != nil {
			return fmt.Errorf("undo a failed update: %w", err)
		}
	}
	t.undone = nil
	return nil
}

// Put implements store.Tx.
func (t *tx) Put(collection string, key, value []byte) error {
	t.inside = true
	err := t.put(collection, key, value)
	t.inside = false
	return err
}

func (t *tx) put(collection string, key, value []byte) error {
	if err := store.Check(collection, key, value); err != nil {
		return err
	}
	b, err := t.data.CreateBucketIfNotExists([]byte(collection))
	if err != nil {
		return fmt.Errorf("make collection %s: %w", collection, err)
	}
	k := t.key(key)
	c := change{b, k, b.Get(k)}
	if err := b.Put(k, seal(k, value)); err != nil {
		return fmt.Errorf("write to %s: %w", collection, err)
	}
	t.changed(c)
	t.bytes += len(k) + len(value)
	return nil
}

func (t *tx) changed(c change) {
	t.undone = append(t.undone, c)
	t.changes++
}

// Delete implements store.Tx.
func (t *tx) Delete(collection string, key []byte) error {
	t.inside = true
	err := t.delete(collection, key)
	t.inside = false
	return err
}

func (t *tx) delete(collection string, key []byte) error {
	if err := store.Check(collection, key, nil); err != nil {
		return err
	}
	b := t.data.Bucket([]byte(collection))
	if b == nil {
		return nil
	}
	k := t.key(key)
	return t.remove(collection, b, k, b.Get(k))
}

func (t *tx) remove(collection string, b *bbolt.Bucket, k, old []byte) error {
	if old == nil {
		return nil
	}
	if err := b.Delete(k); err != nil {
		return fmt.Errorf("delete from %s: %w", collection, err)
	}
	t.changed(change{b, k, old})
	t.bytes += len(k)
	return nil
}

// DeleteRange implements store.Tx.
func (t *tx) DeleteRange(collection string, rng store.Range) (int, error) {
	t.inside = true
	n, err := t.deleteRange(collection, rng)
	t.inside = false
	return n, err
}

func (t *tx) deleteRange(collection string, rng store.Range) (int, error) {
	if err := store.CheckCollection(collection); err != nil {
		return 0, err
	}
	return t.removeRange(collection, t.data.Bucket([]byte(collection)), rng)
}

func (t *tx) removeRange(collection string, b *bbolt.Bucket, rng store.Range) (int, error) {
	var found []change
	rng.Reverse = false
	err := t.walk(b, rng, func(k, v []byte) bool {
		found = append(found, change{b, bytes.Clone(k), v})
		return true
	})
	if err != nil {
		return 0, err
	}
	for _, c := range found {
		if err := t.remove(collection, b, c.key, c.old); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}

// Drop implements store.Tx.
func (t *tx) Drop() error {
	t.inside = true
	err := t.drop()
	t.inside = false
	return err
}

func (t *tx) drop() error {
	return t.data.ForEachBucket(func(name []byte) error {
		_, err := t.removeRange(string(name), t.data.Bucket(name), store.Range{})
		return err
	})
}
