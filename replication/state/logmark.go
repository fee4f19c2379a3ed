package state

import (
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// MarkLog has every later Flush note how far the log beside the file has come: last
// tells the number of its last durable record, which never falls. It is noted also
// where nothing else has changed, since votes are in the log alone. Call it before the first Flush.
func (s *Store) MarkLog(last func() uint64) { s.lastRecord = last }

// LogMark is the number that the newest Flush has noted; 0: none. A log that ends
// before it is not the one that was here. Errors: ErrCorrupt.
func (s *Store) LogMark() (uint64, error) {
	var rec []byte
	err := s.view(func(tx *bbolt.Tx) error {
		rec = slices.Clone(tx.Bucket(metaBucket).Get(logKey))
		return nil
	})
	if err != nil || rec == nil {
		return 0, err
	}
	b, err := unseal(logKey, rec)
	if err == nil && len(b) != 8 {
		err = fmt.Errorf("%w: the mark of the log has %d bytes", ErrCorrupt, len(b))
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// logNow is the mark that a flush that begins now may note.
func (s *Store) logNow() uint64 {
	if s.lastRecord == nil {
		return 0
	}
	return s.lastRecord()
}

// markLog notes the mark in the flush's transaction.
func (s *Store) markLog(tx *bbolt.Tx, mark uint64) error {
	if mark == 0 {
		return nil
	}
	rec := binary.BigEndian.AppendUint64(make([]byte, 4, 12), mark)
	return tx.Bucket(metaBucket).Put(logKey, seal(logKey, rec))
}
