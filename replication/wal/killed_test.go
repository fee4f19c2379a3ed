package wal

import (
	"errors"
	"fmt"
	"testing"
)

// TestKilledThenPowerCut: what a log has found once, and told by Last, it still has after a power cut, although the
// process that wrote it was killed before the sync. With the seeded fault it has not.
func TestKilledThenPowerCut(t *testing.T) {
	if err := killedEverywhere(Faults{}); err != nil {
		t.Error(err)
	}
	if err := killedEverywhere(Faults{FoundUnsynced: true}); err == nil {
		t.Error("the seeded fault was not noticed")
	}
}

// killedEverywhere kills a workload before each of its operations in turn; the power fails soon after the next start.
func killedEverywhere(faults Faults) error {
	for n := 0; ; n++ {
		for more := range 8 {
			at := fmt.Sprintf("killed before operation %d, %d operations later the power fails", n, more)
			fs := NewMemFS()
			w := newWorkload(fs, 1, faults)
			crashAfter(fs, n)
			ended := w.run(60) == nil
			fs.Inject(nil) // killed: nothing that was written is lost
			log, rec, err := Open(fs, "wal", testStore, w.opt)
			if err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			if err := w.settle(rec); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			last := log.Last()
			crashAfter(fs, more)
			if err := w.run(20); errors.Is(err, errModel) {
				return fmt.Errorf("%s: %w", at, err)
			}
			fs.Crash(uint64(n*8 + more))
			if log, rec, err = Open(fs, "wal", testStore, w.opt); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			if err := w.settle(rec); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			if now := log.Last(); now < last {
				return fmt.Errorf("%s: the log ends with record %d, before with %d", at, now, last)
			}
			if ended {
				return nil
			}
		}
	}
}
