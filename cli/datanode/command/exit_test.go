package command

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
)

// TestForeignFiles: a log and a state of another node end this one alike.
func TestForeignFiles(t *testing.T) {
	for _, foreign := range []error{wal.ErrForeign, state.ErrForeign} {
		if code, _ := Outcome(withCode(fmt.Errorf("open: %w", foreign))); code != ExitDisk {
			t.Errorf("%v: exit %d", foreign, code)
		}
	}
}
