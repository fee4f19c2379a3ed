package bolt

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// edit changes a closed store's file behind its back.
func edit(t *testing.T, dir string, f func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func setFormat(t *testing.T, dir string, format uint32) {
	edit(t, dir, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucketMeta())
		if err != nil {
			return err
		}
		return b.Put([]byte("format"), binary.BigEndian.AppendUint32(nil, format))
	})
}

func refused(t *testing.T, what, dir, domain string, want error) {
	t.Helper()
	s, err := Open(dir, domain)
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, want) {
		t.Errorf("%s: %v", what, err)
	}
}

// TestPermissionDenied: the path is said once, and who may look there.
func TestPermissionDenied(t *testing.T) {
	err := openError("/data", "/data/xmppd.db", &fs.PathError{Op: "open", Path: "/data/xmppd.db", Err: fs.ErrPermission})
	if strings.Count(err.Error(), "xmppd.db") != 1 || !strings.Contains(err.Error(), "run as the user who owns /data") {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	s := openOrFail(t, dir, faults{})
	refused(t, "second process", dir, domain, store.ErrLocked)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, "other domain", dir, "example.com", store.ErrForeign)
	empty := filepath.Join(t.TempDir(), "empty")
	refused(t, "new directory without domain", empty, "", store.ErrNoDomain)
	if _, err := OpenExisting(empty, domain); !errors.Is(err, store.ErrNoData) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := os.Stat(empty); err == nil {
		t.Error("a refused directory was made")
	}
	s, err := Open(dir, "")
	if err != nil || s.Domain() != domain {
		t.Fatalf("used directory without domain: %v", err)
	}
	_ = s.Close()
	setFormat(t, dir, 99)
	refused(t, "later format", dir, domain, store.ErrNewerFormat)
	setFormat(t, dir, 1)
	refused(t, "format of a pre-release", dir, domain, store.ErrOldFormat)

	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, FileName), make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "no database", foreign, domain, store.ErrForeign)
	other := t.TempDir()
	edit(t, other, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("something"))
		return err
	})
	refused(t, "another program's database", other, domain, store.ErrForeign)
}

// damage writes records, changes the file, and reports whether the store noticed.
func damage(t *testing.T, f faults, change func(b *bbolt.Bucket) error) (seen error) {
	dir := t.TempDir()
	s := openOrFail(t, dir, f)
	put(t, s, "o", "a", "value of a")
	put(t, s, "o", "b", "value of b")
	put(t, s, "p", "b", "another's")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, func(tx *bbolt.Tx) error { return change(tx.Bucket(bucketData()).Bucket([]byte("c"))) })
	s = openOrFail(t, dir, f)
	_, seen = get(t, s, "o", "b")
	scanned := s.View(t.Context(), "o", func(r store.Reader) error {
		return r.Scan("c", store.Range{}, func(_, _ []byte) bool { return true })
	})
	if (seen == nil) != (scanned == nil) {
		t.Errorf("get: %v; scan: %v", seen, scanned)
	}
	if v, err := get(t, s, "o", "a"); v != "value of a" || err != nil {
		t.Errorf("the other record: %q, %v", v, err)
	}
	err := s.Update(t.Context(), "o", func(tx store.Tx) error { // what is damaged can be removed
		_, err := tx.DeleteRange("c", store.Range{})
		return err
	})
	if v, gone := get(t, s, "o", "b"); err != nil || !errors.Is(gone, store.ErrNotFound) {
		t.Errorf("removal: %v, then %q, %v", err, v, gone)
	}
	return seen
}

func TestDamage(t *testing.T) {
	key := []byte("o\x00b")
	bit := func(n int) func(*bbolt.Bucket) error {
		return func(b *bbolt.Bucket) error {
			v := slices.Clone(b.Get(key))
			v[n] ^= 4
			return b.Put(key, v)
		}
	}
	for name, change := range map[string]func(*bbolt.Bucket) error{
		"flipped bit":       bit(9),
		"flipped checksum":  bit(2),
		"cut":               func(b *bbolt.Bucket) error { return b.Put(key, slices.Clone(b.Get(key))[:3]) },
		"shortened":         func(b *bbolt.Bucket) error { return b.Put(key, slices.Clone(b.Get(key))[:9]) },
		"another's record":  func(b *bbolt.Bucket) error { return b.Put(key, slices.Clone(b.Get([]byte("p\x00b")))) },
		"another of theirs": func(b *bbolt.Bucket) error { return b.Put(key, slices.Clone(b.Get([]byte("o\x00a")))) },
	} {
		err := damage(t, faults{}, change)
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), `c of owner "o", key "b"`) {
			t.Errorf("%s: %v", name, err)
		}
		if err := damage(t, faults{noChecksum: true}, change); err != nil {
			t.Errorf("%s is found without checksums: %v", name, err)
		}
	}
	if err := damage(t, faults{}, func(b *bbolt.Bucket) error {
		v := slices.Clone(b.Get(key))
		v[0]++
		return b.Put(key, v)
	}); !errors.Is(err, store.ErrNewerFormat) {
		t.Errorf("record of a later version: %v", err)
	}
}
