package store

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// GetPair reads two numbers that PutPair wrote; zeros if there is no record. ErrCorrupt for anything else.
func GetPair(r Reader, collection string, key []byte) (a, b uint64, err error) {
	v, err := r.Get(collection, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return 0, 0, nil
	case err != nil:
		return 0, 0, err
	case len(v) != 16:
		return 0, 0, fmt.Errorf("%w: %s has %d bytes", ErrCorrupt, collection, len(v))
	}
	return binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]), nil
}

// PutPair writes two numbers.
func PutPair(tx Tx, collection string, key []byte, a, b uint64) error {
	return tx.Put(collection, key, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, a), b))
}
