package bolt

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// TestFull: a full disk refuses changes, keeps what is there, and takes changes again when there is
// room. Pages are copied when they change, so that a little room is needed for making some: records
// are small here, for a change to fit into the pages that the one before it has set free.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	s := openOrFail(t, dir, faults{maxSize: 1 << 20})
	value := strings.Repeat("v", 800)
	fill := func(n int) error {
		return s.Update(t.Context(), "o", func(tx store.Tx) error {
			for i := range 40 {
				if err := tx.Put("c", fmt.Appendf(nil, "%03d-%02d", n, i), []byte(value)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	full, err := 0, error(nil)
	for ; err == nil && full < 100; full++ {
		err = fill(full)
	}
	full--
	if !errors.Is(err, bolterrors.ErrMaxSizeReached) || errors.Is(err, store.ErrUncertain) || full < 5 {
		t.Fatalf("full after %d updates: %v", full, err)
	}
	count := func(s *Store, want int) {
		t.Helper()
		n := 0
		err := s.View(t.Context(), "o", func(r store.Reader) error {
			return r.Scan("c", store.Range{}, func(_, v []byte) bool { n++; return string(v) == value })
		})
		if n != want || err != nil {
			t.Errorf("%d records, want %d: %v", n, want, err)
		}
	}
	count(s, full*40)
	err = s.Update(t.Context(), "o", func(tx store.Tx) error { // makes room
		_, err := tx.DeleteRange("c", store.Range{To: []byte("003")})
		return err
	})
	if err := errors.Join(err, fill(full)); err != nil {
		t.Fatal(err)
	}
	count(s, (full-2)*40)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	count(openOrFail(t, dir, faults{}), (full-2)*40)
}

// uncertain lets an fsync fail behind a commit, and reports what the store does wrong about it.
func uncertain(t *testing.T, f faults) error {
	dir, broken := t.TempDir(), false
	failure := errors.New("input/output error")
	f.commit = func(commit func() error) error {
		err := commit()
		if err == nil && broken {
			broken = false // the next one would work, and prove nothing
			return failure
		}
		return err
	}
	s := openOrFail(t, dir, f)
	put(t, s, "o", "k", "old")
	broken = true
	if err := tryPut(t, s, "o", "k", "new"); !errors.Is(err, store.ErrUncertain) || !errors.Is(err, failure) {
		return fmt.Errorf("the update ended with %w", err)
	}
	if err := tryPut(t, s, "o", "k", "newer"); !errors.Is(err, store.ErrUncertain) {
		return fmt.Errorf("the store went on: %w", err)
	}
	select {
	case err := <-s.Failed():
		if !errors.Is(err, failure) {
			return fmt.Errorf("the owner is told %w", err)
		}
	default:
		return errors.New("the owner is not told")
	}
	if _, err := get(t, s, "o", "k"); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := s.Close(); err != nil {
		return err
	}
	s = openOrFail(t, dir, faults{})
	if v, err := get(t, s, "o", "k"); err != nil || v != "old" && v != "new" {
		return fmt.Errorf("opened again: %q, %w", v, err)
	}
	return nil
}

// TestUncertain: when it is not known whether a change is on the disk, it is told so, and nothing
// is built on it until the store was opened again.
func TestUncertain(t *testing.T) {
	if err := uncertain(t, faults{}); err != nil {
		t.Error(err)
	}
	if uncertain(t, faults{goOn: true}) == nil {
		t.Error("a store that goes on passes the test")
	}
}

// TestCommitFails: an error before the new state counts has changed nothing, for nobody in the
// transaction, and the store goes on.
func TestCommitFails(t *testing.T) {
	failure := errors.New("no space left on device")
	broken := false
	s := openOrFail(t, t.TempDir(), faults{commit: func(commit func() error) error {
		if broken {
			broken = false
			return failure
		}
		return commit()
	}})
	put(t, s, "o", "k", "old")
	broken = true
	if err := tryPut(t, s, "o", "k", "new"); !errors.Is(err, failure) || errors.Is(err, store.ErrUncertain) {
		t.Errorf("failed update: %v", err)
	}
	if v, err := get(t, s, "o", "k"); v != "old" || err != nil {
		t.Errorf("after the failure: %q, %v", v, err)
	}
	put(t, s, "o", "k", "new")
}
