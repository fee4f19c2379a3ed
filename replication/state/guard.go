package state

import (
	"errors"
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// bbolt panics where the pages of the file make no sense, and reading what the
// file no longer has is a memory fault. Both are made ErrCorrupt here: a node
// must end with words about its file, not with a trace.

// guard calls f, which may read and write through bbolt. Damaged pages leave the
// store dead: nobody knows which others are, and whose they are.
func (s *Store) guard(f func() error) (err error) {
	was := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(was)
	defer func() {
		if v := recover(); v != nil {
			err = s.damaged(v)
		}
	}()
	return f()
}

func (s *Store) damaged(v any) error {
	return s.fail(fmt.Errorf("%w: the pages of %s make no sense (%v): the disk may be failing; replace this node, its replicas have the data", ErrCorrupt, s.path, v))
}

func (s *Store) view(f func(*bbolt.Tx) error) error {
	return s.guard(func() error { return s.db.View(f) })
}

func (s *Store) update(f func(*bbolt.Tx) error) error {
	return s.guard(func() error { return s.db.Update(f) })
}

// write is a transaction beside the flushes, of what no reader of a partition
// sees. The store is dead after an error that is not want of room.
func (s *Store) write(f func(*bbolt.Tx) error) error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	err := diskError(s.update(f))
	if err == nil || errors.Is(err, ErrFull) || errors.Is(err, ErrCorrupt) {
		return err
	}
	return s.fail(fmt.Errorf("%w: write %s: %w: restart the node once the disk is sound", ErrFailed, s.path, err))
}
