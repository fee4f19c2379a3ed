package bolt

import (
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// bbolt panics where the file's pages make no sense, and reading what the file no longer has, or the
// disk can't deliver, is a memory fault. Both are made errors here, while what the caller's own
// function panics with stays a panic.

// onFault makes memory faults of this goroutine panics until the function it returns is called.
func onFault() (restore func()) {
	was := debug.SetPanicOnFault(true)
	return func() { debug.SetPanicOnFault(was) }
}

// isFault reports whether a panic is a memory fault at an address. Only the file's mapping has such:
// a nil pointer has none.
func isFault(v any) bool {
	_, is := v.(interface{ Addr() uintptr })
	return is
}

// guard calls f and makes ErrCorrupt of a panic, if it comes from the file and not from a function
// of the caller's that f calls: inside tells which it was.
func (s *Store) guard(inside *bool, f func() error) (err error) {
	defer onFault()()
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if !*inside && !isFault(v) || s.faults.noGuard {
			panic(v)
		}
		err = damagedFile(s.path, v)
	}()
	return f()
}

// internal is guard for what calls no function of the caller's.
func (s *Store) internal(f func() error) error {
	inside := true
	return s.guard(&inside, f)
}

// fail makes the store take no more changes.
func (s *Store) fail(err error) {
	if s.failed == nil {
		s.failed = err
		s.broken <- err // has room: this happens once
	}
}

// release ends a transaction. If bbolt can't, it holds its locks for ever: the store is of no use
// any more, not even for being closed.
func (s *Store) release(tx *bbolt.Tx) {
	err := s.internal(func() error {
		_ = tx.Rollback() // the end of a read, or nothing to do behind a commit
		return nil
	})
	if err != nil {
		s.stuck.Store(true)
	}
}

// errStuck is the answer of a store whose locks are held for ever.
func (s *Store) errStuck() error {
	return fmt.Errorf("%s: %w while it was in use; restore the file from a backup", s.path, store.ErrCorrupt)
}
