package state

import (
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// checkOwner refuses the file of another data directory, whose replicas have other
// positions and maybe other data under the same numbers. A file without a name is
// new or of an earlier program; it gets its name durably. Errors: ErrForeign,
// ErrCorrupt, ErrFull.
func (s *Store) checkOwner() error {
	var rec []byte
	err := s.view(func(tx *bbolt.Tx) error {
		rec = slices.Clone(tx.Bucket(metaBucket).Get(storeKey))
		return nil
	})
	if err != nil {
		return err
	}
	if rec == nil {
		return diskError(s.update(func(tx *bbolt.Tx) error {
			return tx.Bucket(metaBucket).Put(storeKey, seal(storeKey, append(make([]byte, 4), s.opt.Store...)))
		}))
	}
	owner, err := unseal(storeKey, rec)
	if err != nil {
		return err
	}
	if string(owner) != s.opt.Store && !s.opt.Faults.AnyState {
		return fmt.Errorf("%w: it is of store %s, this is %s", ErrForeign, owner, s.opt.Store)
	}
	return nil
}
