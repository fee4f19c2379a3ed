package store

import (
	"errors"
	"fmt"
)

// RecordError tells which record can't be read. The others can: see ScanReadable.
type RecordError struct {
	Collection, Owner string
	Key               []byte
	Err               error // ErrCorrupt, ErrNewerFormat
}

// Error implements error.
func (e *RecordError) Error() string {
	return fmt.Sprintf("%s of owner %q, key %q: %v", e.Collection, e.Owner, e.Key, e.Err)
}

// Unwrap gives errors.Is the cause.
func (e *RecordError) Unwrap() error { return e.Err }

// ScanReadable is Scan that goes on behind each record that can't be read, after it has told of it.
func ScanReadable(r Reader, collection string, rng Range, f func(key, value []byte) bool, damaged func(*RecordError)) error {
	for {
		err := r.Scan(collection, rng, f)
		var bad *RecordError
		if !errors.As(err, &bad) {
			return err
		}
		damaged(bad)
		if rng.Reverse {
			rng.To = bad.Key
		} else {
			rng.From = append(bad.Key[:len(bad.Key):len(bad.Key)], 0)
		}
	}
}
