package state

import (
	"errors"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// TestFileOfAnotherStore: a file without a name, as earlier programs made it, is taken
// once; from then on it is of who took it.
func TestFileOfAnotherStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open := func(store string, faults Faults, want error) *Store {
		t.Helper()
		s, err := OpenStore(path, Options{NoSync: true, Store: store, Faults: faults})
		if !errors.Is(err, want) {
			t.Fatalf("opened by %q: %v, want %v", store, err, want)
		}
		return s
	}
	end := func(s *Store) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	end(open("", Faults{}, nil))
	end(open("a", Faults{}, nil))
	end(open("a", Faults{}, nil))
	open("b", Faults{}, ErrForeign)
	end(open("b", Faults{AnyState: true}, nil))
	s := open("a", Faults{}, nil)
	if err := s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(storeKey, []byte("\x00\x00\x00\x00a"))
	}); err != nil {
		t.Fatal(err)
	}
	end(s)
	open("a", Faults{}, ErrCorrupt)
}
