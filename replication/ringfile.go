package replication

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/rosterdb/rosterdb/ring"
)

// loadRing reads the newest ring document that the directory keeps, nil if none.
func loadRing(dir string) (*ring.Document, error) {
	body, err := readFile(filepath.Join(dir, ringFile), ringFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	doc, err := ring.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("read ring file: %w: %w", ErrDamaged, err)
	}
	return doc, nil
}

func saveRing(dir string, doc *ring.Document) error {
	body, err := ring.Encode(doc)
	if err != nil {
		return fmt.Errorf("write ring file: %w", err)
	}
	return writeFile(filepath.Join(dir, ringFile), ringFile, body)
}
