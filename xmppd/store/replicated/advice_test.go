package replicated

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/replication"
)

// TestAdvice: a damaged file is told with what to do at a server, not at a data node only.
func TestAdvice(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "identity"), []byte("rosterdb identity 1 00000000\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Dir: dir})
	if !errors.Is(err, replication.ErrDamaged) || !strings.Contains(err.Error(), "move "+dir+" away") {
		t.Errorf("%v", err)
	}
	if err := advise(dir, replication.ErrLocked); strings.Contains(err.Error(), "move") {
		t.Errorf("where nothing is damaged: %v", err)
	}
}
