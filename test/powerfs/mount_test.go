package powerfs

import (
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// TestMounted: a database on the disk keeps through power cuts what it
// committed, and loses it when the disk lies.
func TestMounted(t *testing.T) {
	if err := Supported(); err != nil {
		if os.Getenv("CHAOS_REQUIRED") == "1" {
			t.Fatalf("CHAOS_REQUIRED=1 asks for it: %v", err)
		}
		t.Skip(err)
	}
	for _, lying := range []bool{false, true} {
		lost := 0
		d, path := New(t.TempDir(), 64<<20), t.TempDir()
		for life := range 6 {
			m, err := Mount(d, path)
			if err != nil {
				t.Fatal(err)
			}
			found := transact(t, filepath.Join(path, "db"), life)
			if err := m.Unmount(); err != nil {
				t.Fatal(err)
			}
			lost += life - found
			d.SetLying(lying && life > 0)
			fate := Scatter
			if lying {
				fate = Lose
			}
			if err := d.Cut(fate, uint64(life)); err != nil {
				t.Fatal(err)
			}
		}
		if s := d.Stats(); s.Syncs == 0 || s.Cuts != 6 {
			t.Errorf("%+v", s)
		}
		if (lost > 0) != lying {
			t.Errorf("a disk that lies: %v; %d transactions lost", lying, lost)
		}
		_ = d.Close()
	}
}

// transact counts the transactions that are there, and commits another.
func transact(t *testing.T, file string, life int) (found int) {
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // what counts is committed
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("b"))
		if err != nil {
			return err
		}
		found = b.Stats().KeyN
		return b.Put([]byte{byte(life)}, make([]byte, 100))
	})
	if err != nil {
		t.Fatal(err)
	}
	// bbolt leaves the directory to its user.
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		t.Fatal(err)
	}
	return found
}
