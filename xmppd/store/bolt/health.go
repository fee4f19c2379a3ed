package bolt

import (
	"fmt"
	"os"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Health reports whether the file that the store writes is still the one that the next start would
// open: a data directory that was removed or replaced keeps on working, until it is gone. ErrForeign.
func (s *Store) Health() error {
	now, err := os.Stat(s.db.Path())
	if err != nil {
		return fmt.Errorf("the server's data is not where it was: %w", err)
	}
	if !os.SameFile(now, s.file) {
		return fmt.Errorf("%s: %w: it was replaced while the server runs", s.db.Path(), store.ErrForeign)
	}
	return nil
}
