package powerfs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// transact counts the transactions that are there, and commits another. It does so
// in a process of its own: bbolt reads its file as memory, and while a thread of
// ours waited for a page the runtime could not stop it, to collect garbage for
// instance, and those who were to send the page would wait for the runtime.
func transact(t *testing.T, file string, life int) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], child, file, strconv.Itoa(life))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("commit transaction %d: %v", life, err)
	}
	found, err := strconv.Atoi(string(out))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// child is the first argument of the process that transact starts.
const child = "transact"

// runChild is that process.
func runChild(file, life string) error {
	n, err := strconv.Atoi(life)
	if err != nil {
		return err
	}
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // what counts is committed
	found := 0
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("b"))
		if err != nil {
			return err
		}
		found = b.Stats().KeyN
		return b.Put([]byte{byte(n)}, make([]byte, 100))
	})
	if err != nil {
		return err
	}
	// bbolt leaves the directory to its user.
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	if err := dir.Sync(); err != nil {
		return err
	}
	_, err = fmt.Print(found)
	return err
}
