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
	s.torn.Store(true)
	return s.fail(fmt.Errorf("%w: %s (%v)", ErrCorrupt, pagesText(s.path), v))
}

func pagesText(path string) string {
	return fmt.Sprintf("the pages of %s make no sense: the disk may be failing. Put a sound one in, start with an empty directory, and replace this member: ringctl replace; its replicas have the data", path)
}

// begin begins a read transaction.
func (s *Store) begin() (tx *bbolt.Tx, err error) {
	err = s.guard(func() error {
		tx, err = s.db.Begin(false)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return tx, nil
}

func (s *Store) view(f func(*bbolt.Tx) error) error {
	return s.guard(func() error { return s.db.View(f) })
}

// update is bbolt's Update, but for a panic: to roll back then bbolt would look at
// all pages, in a goroutine whose panic ends the process. The store is dead anyway.
func (s *Store) update(f func(*bbolt.Tx) error) error {
	return s.guard(func() error {
		tx, err := s.db.Begin(true)
		if err != nil {
			return err
		}
		if err := f(tx); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
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
