package wal

import (
	"errors"
	"strings"
	"testing"
)

// TestNewestSegmentMissing: a file system that has lost the newest segment has lost what was acknowledged. The one
// before it says so, also after a crash; with the seeded fault nobody does.
func TestNewestSegmentMissing(t *testing.T) {
	const second = "wal/0000000000000002.wal"
	for _, planted := range []bool{false, true} {
		opt := small
		opt.Faults.EndUnmarked = planted
		fs := NewMemFS()
		l, _ := mustOpen(t, fs, opt)
		for i := uint64(1); l.Stats().Segments < 2; i++ {
			if err := l.Append(entry(1, i)); err != nil {
				t.Fatal(err)
			}
		}
		fs.Crash(1)
		_ = l.Close()
		if err := fs.Remove(second); err != nil {
			t.Fatal(err)
		}
		l, _, err := Open(fs, "wal", testStore, opt)
		if err == nil {
			l.Close()
		}
		if found := errors.Is(err, ErrCorrupt) && strings.Contains(err.Error(), second); found == planted {
			t.Errorf("planted: %v; %v", planted, err)
		}
	}
}
