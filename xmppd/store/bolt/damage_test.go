package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

const owners = 4

// smallFile makes a store with branches, leaves, values of several pages and free pages, and returns it.
func smallFile(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	s := openOrFail(t, dir, faults{})
	for o := range owners {
		err := s.Update(t.Context(), owner(o), func(tx store.Tx) error {
			err := tx.Put("c", []byte("big"), bytes.Repeat([]byte("b"), 9000))
			for i := range 30 {
				err = errors.Join(err, tx.Put("c", fmt.Appendf(nil, "%03d", i), bytes.Repeat([]byte("v"), 100)))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := s.Update(t.Context(), owner(0), func(tx store.Tx) error {
		_, err := tx.DeleteRange("c", store.Range{To: []byte("015")})
		return errors.Join(err, tx.Put("other", nil, []byte("small")))
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	return b[:(len(bytes.TrimRight(b, "\x00"))+4095)/4096*4096] // it grows by 16 MiB of nothing
}

func owner(n int) string { return fmt.Sprint("user", n) }

// use opens a file and does everything with it once. The errors are what a user of the store sees.
func use(t *testing.T, file []byte, f faults) (opened bool, seen []error) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = os.WriteFile(filepath.Join(dir, FileName), file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(dir, domain, f)
	if err != nil {
		return false, []error{err}
	}
	see := func(err error) {
		if err != nil {
			seen = append(seen, err)
		}
	}
	for o := range owners {
		see(s.View(t.Context(), owner(o), func(r store.Reader) error {
			return r.Scan("c", store.Range{}, func(_, _ []byte) bool { return true })
		}))
		see(tryPut(t, s, owner(o), "010", strings.Repeat("n", 300)))
	}
	see(s.Owners(t.Context(), "c", "", func(string) bool { return true }))
	see(s.Update(t.Context(), owner(1), func(tx store.Tx) error { return tx.Drop() }))
	see(s.Close())
	return true, seen
}

// clean reports whether an error is one that says what happened: damage can hide a record, too.
func clean(err error) bool {
	for _, known := range []error{store.ErrCorrupt, store.ErrForeign, store.ErrNewerFormat, store.ErrOldFormat, store.ErrNotFound} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// TestTruncated: a file that has lost its end is told so, with the path and what to do.
func TestTruncated(t *testing.T) {
	file := smallFile(t)
	for _, n := range []int{1, 100, 4095, 4096, 5000, 8191, 8192, 12288, 20480, 20481, len(file) / 2, len(file) - 4096, len(file) - 1} {
		opened, seen := use(t, file[:n], faults{})
		switch {
		case opened:
			t.Errorf("%d bytes of %d are opened: %v", n, len(file), seen)
		case !clean(seen[0]) || !strings.Contains(seen[0].Error(), FileName) || !strings.Contains(seen[0].Error(), "backup"):
			t.Errorf("%d bytes: %v", n, seen[0])
		}
	}
	if opened, seen := use(t, file, faults{}); !opened || seen != nil {
		t.Errorf("the whole file: %v, %v", opened, seen)
	}
}

// TestTruncatedBites: without the look at the structure the damage is found late, or never.
func TestTruncatedBites(t *testing.T) {
	file := smallFile(t)
	if opened, seen := use(t, file[:len(file)-4096], faults{noVerify: true}); !opened {
		t.Errorf("the truncated file is refused by another check: %v", seen)
	}
}

// TestFlips changes bytes of the pages' headers and indexes, and some of the rest: nothing that a
// damaged file can do is a panic, or more than errors that are known.
func TestFlips(t *testing.T) {
	file := smallFile(t)
	refused := 0
	for at := 0; at < len(file); at++ {
		if in := at % 4096; in >= 16 && (in >= 80 || at%3 != 0) && at%509 != 0 {
			continue
		}
		damaged := bytes.Clone(file)
		damaged[at] ^= []byte{0x41, 0x03, 0x80, 0xff}[at%4]
		opened, seen := use(t, damaged, faults{})
		if !opened {
			refused++
		}
		for _, err := range seen {
			if !clean(err) {
				t.Errorf("byte %d of page %d: %v", at%4096, at/4096, err)
			}
		}
	}
	if refused == 0 {
		t.Error("no damage of the structure was found")
	}
}

// TestFlipsWhileServing lets the damage come after the look at the file: what bbolt panics with is
// an error, and the store is told to have failed if a commit was hit.
func TestFlipsWhileServing(t *testing.T) {
	file := smallFile(t)
	met := 0
	for at := 2 * 4096; at < len(file); at++ {
		if in := at % 4096; in != 0 && in != 8 && in != 9 && in != 11 {
			continue
		}
		damaged := bytes.Clone(file)
		damaged[at] ^= 0x41
		if err := serve(t, file, damaged); err != nil {
			met++
			if !clean(err) {
				t.Errorf("byte %d of page %d: %v", at%4096, at/4096, err)
			}
		}
	}
	if met == 0 {
		t.Error("no damage was met")
	}
}

// serve opens a file, damages it, and uses it. It returns the errors.
func serve(t *testing.T, file, damaged []byte) error {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := open(dir, domain, faults{})
	if err != nil {
		t.Fatal(err)
	}
	disk, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_, err = disk.WriteAt(damaged, 0)
		err = errors.Join(err, disk.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	for o := range owners {
		_, getErr := get(t, s, owner(o), "big")
		err = errors.Join(err, getErr, tryPut(t, s, owner(o), "010", strings.Repeat("n", 300)))
	}
	if s.failed != nil {
		select {
		case <-s.Failed():
		default:
			t.Errorf("nobody is told: %v", s.failed)
		}
	}
	return errors.Join(err, s.Close())
}

// TestCutWhileServing: a file that another program cuts is a memory fault, which is an error too.
func TestCutWhileServing(t *testing.T) {
	cut(t, faults{})
	defer func() {
		if recover() == nil {
			t.Error("a store that lets panics through passes the test")
		}
	}()
	cut(t, faults{noGuard: true})
}

func cut(t *testing.T, f faults) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), smallFile(t), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openOrFail(t, dir, f)
	if err := os.Truncate(filepath.Join(dir, FileName), 3*4096); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, s, owner(3), "big"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read: %v", err)
	}
	if err := tryPut(t, s, owner(3), "k", "v"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("write: %v", err)
	}
}

// TestPanicsApart: a panic of the caller's function stays one, in the midst of a scan too.
func TestPanicsApart(t *testing.T) {
	s := openOrFail(t, t.TempDir(), faults{})
	put(t, s, "o", "k", "v")
	scan := func(r store.Reader) error {
		return r.Scan("c", store.Range{}, func(_, _ []byte) bool { panic("mine") })
	}
	for name, f := range map[string]func() error{
		"view":   func() error { return s.View(t.Context(), "o", scan) },
		"update": func() error { return s.Update(t.Context(), "o", func(tx store.Tx) error { return scan(tx) }) },
	} {
		func() {
			defer func() {
				if v := recover(); v != "mine" {
					t.Errorf("%s: the panic became %v", name, v)
				}
			}()
			t.Errorf("%s: %v", name, f())
		}()
	}
	put(t, s, "o", "k", "new")
}
