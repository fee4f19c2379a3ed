package state

import (
	"bytes"

	"go.etcd.io/bbolt"
)

// What one Sweep removes at most.
const (
	sweepRecords = 4096
	sweepBytes   = 8 << 20
)

// Sweep removes a piece of what was discarded, so that its room can be used
// again; more tells that there is more. Safe concurrently with everything else.
// Errors: ErrFull, after which it may be tried again; ErrClosed.
func (s *Store) Sweep() (more bool, err error) {
	found := false
	err = s.view(func(tx *bbolt.Tx) error {
		found = firstTrash(tx) != nil
		return nil
	})
	if err != nil || !found {
		return false, err
	}
	err = s.write(func(tx *bbolt.Tx) error {
		more, err = sweep(tx)
		return err
	})
	return more, err
}

func firstTrash(tx *bbolt.Tx) []byte {
	name, _ := tx.Cursor().Seek([]byte{trashPrefix})
	if len(name) != 9 || name[0] != trashPrefix {
		return nil
	}
	return bytes.Clone(name)
}

func sweep(tx *bbolt.Tx) (more bool, err error) {
	name := firstTrash(tx)
	if name == nil {
		return false, nil
	}
	trash := tx.Bucket(name)
	records, size := sweepRecords, sweepBytes
	for {
		table, _ := trash.Cursor().First()
		if table == nil {
			err := tx.DeleteBucket(name)
			return err == nil && firstTrash(tx) != nil, err
		}
		empty, err := sweepTable(trash.Bucket(table), &records, &size)
		if err != nil || !empty {
			return true, err
		}
		if err := trash.DeleteBucket(bytes.Clone(table)); err != nil {
			return false, err
		}
	}
}

// sweepTable deletes from the front until the bounds are reached.
func sweepTable(b *bbolt.Bucket, records, size *int) (empty bool, err error) {
	var keys [][]byte
	c := b.Cursor()
	k, v := c.First()
	for ; k != nil && *records > 0 && *size > 0; k, v = c.Next() {
		keys = append(keys, bytes.Clone(k))
		*records--
		*size -= len(k) + len(v)
	}
	for _, key := range keys {
		if err := b.Delete(key); err != nil {
			return false, err
		}
	}
	return k == nil, nil
}
