package store

import (
	"encoding/json"
	"fmt"
)

// GetJSON reads a record that PutJSON wrote. ErrNotFound, and ErrCorrupt if it can't be decoded.
func GetJSON[T any](r Reader, collection string, key []byte) (v T, err error) {
	b, err := r.Get(collection, key)
	if err != nil {
		return v, err
	}
	return v, decode(collection, key, b, &v)
}

// PutJSON writes a record as JSON.
func PutJSON[T any](tx Tx, collection string, key []byte, v T) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s %q: %w", collection, key, err)
	}
	return tx.Put(collection, key, b)
}

// ScanJSON scans records that PutJSON wrote. ErrCorrupt ends it at one that can't be decoded.
func ScanJSON[T any](r Reader, collection string, rng Range, f func(key []byte, v T) bool) error {
	var bad error
	err := r.Scan(collection, rng, func(key, b []byte) bool {
		var v T
		if bad = decode(collection, key, b, &v); bad != nil {
			return false
		}
		return f(key, v)
	})
	if bad != nil {
		return bad
	}
	return err
}

func decode(collection string, key, b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %s %q: %w", ErrCorrupt, collection, key, err)
	}
	return nil
}
