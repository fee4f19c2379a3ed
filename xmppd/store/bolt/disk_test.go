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
// room.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	s := openOrFail(t, dir, faults{maxSize: 1 << 20})
	large := strings.Repeat("v", 50_000)
	n, err := 0, error(nil)
	for ; err == nil && n < 100; n++ {
		err = tryPut(t, s, "o", fmt.Sprintf("%03d", n), large)
	}
	if !errors.Is(err, bolterrors.ErrMaxSizeReached) || errors.Is(err, store.ErrUncertain) {
		t.Fatalf("full after %d: %v", n, err)
	}
	check := func() {
		t.Helper()
		for i := range n {
			v, err := get(t, s, "o", fmt.Sprintf("%03d", i))
			if stored := err == nil && v == large; stored != (i < n-1) {
				t.Errorf("record %d of %d is there: %v, %v", i, n, stored, err)
			}
		}
	}
	check()
	put(t, s, "o", "small", "v")
	check()
	for i := range 5 {
		err := s.Update(t.Context(), "o", func(tx store.Tx) error { return tx.Delete("c", fmt.Appendf(nil, "%03d", i)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, "o", "000", large)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOrFail(t, dir, faults{})
	if v, err := get(t, s, "o", "000"); v != large || err != nil {
		t.Errorf("opened again: %d bytes, %v", len(v), err)
	}
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
