package wal

import (
	"errors"
	"strings"
	"testing"
)

// damageAfterStop damages a log that was closed in good order and opens it.
func damageAfterStop(t *testing.T, fs FS, file string, opt Options, edit func([]byte)) error {
	t.Helper()
	fill(t, fs, 1, 15)
	change(t, fs, file, edit)
	l, _, err := Open(fs, "wal", testStore, opt)
	if err == nil {
		l.Close()
	}
	return err
}

// TestDamageAfterStop: when the log was closed in good order no write was under
// way, so what is wrong at its end is damage and told as such.
func TestDamageAfterStop(t *testing.T) {
	const second = "wal/0000000000000002.wal"
	last := dataStart + 3*recordSize
	for _, tc := range []struct {
		name string
		edit func([]byte)
	}{
		{"flipped byte in the last record", func(b []byte) { b[last+500] ^= 1 }},
		{"last record wiped out", func(b []byte) { clear(b[last:]) }},
		{"all records of the last segment wiped out", func(b []byte) { clear(b[dataStart:]) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs := NewMemFS()
			err := damageAfterStop(t, fs, second, small, tc.edit)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), second+" at offset ") || !strings.Contains(err.Error(), "closed in good order") {
				t.Fatalf("got %v", err)
			}
			if _, _, again := Open(fs, "wal", testStore, small); !errors.Is(again, ErrCorrupt) {
				t.Errorf("the second try: %v", again)
			}
			ignored := small
			ignored.Faults.StopIgnored = true
			if err := damageAfterStop(t, NewMemFS(), second, ignored, tc.edit); err != nil {
				t.Errorf("with the seeded fault the damage is noticed elsewhere: %v", err)
			}
		})
	}
	t.Run("the mark itself", func(t *testing.T) {
		if err := damageAfterStop(t, NewMemFS(), "wal/"+stopFile, small, func(b []byte) { b[13] ^= 1 }); err != nil {
			t.Error(err)
		}
	})
	t.Run("all segments", func(t *testing.T) {
		fs := NewMemFS()
		fill(t, fs, 1, 3)
		if err := fs.Remove("wal/0000000000000001.wal"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(fs, "wal", testStore, small); !errors.Is(err, ErrCorrupt) {
			t.Errorf("got %v", err)
		}
	})
}

// TestStopForgotten: the mark of an earlier life says nothing about a later one
// that crashed.
func TestStopForgotten(t *testing.T) {
	for seed := range uint64(40) {
		fs := NewMemFS()
		fill(t, fs, 1, 5)
		l, _ := mustOpen(t, fs, small)
		fs.Inject(func(op Op, _ string) error {
			if op == OpSync {
				return ErrCrashed
			}
			return nil
		})
		if err := l.Append(entry(1, 6)); err == nil {
			t.Fatal("the append should have failed")
		}
		fs.Crash(seed)
		_ = l.Close() // as a test's cleanup may: it must not vouch for anything
		_, rec := mustOpen(t, fs, small)
		if n := len(rec.Groups[1].Entries); n < 5 {
			t.Fatalf("seed %d: %d entries", seed, n)
		}
	}
}
