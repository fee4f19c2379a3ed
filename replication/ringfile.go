package replication

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/rosterdb/rosterdb/ring"
)

// knownRing is what the ring file keeps: the newest document, and whether the
// groups of the first one have their first membership durably. Without the mark
// a store whose state vanished could be taken for a new one.
type knownRing struct {
	doc          *ring.Document // nil: none
	bootstrapped bool
}

func loadRing(dir string) (knownRing, error) {
	body, err := readFile(filepath.Join(dir, ringFile), ringFile)
	if errors.Is(err, fs.ErrNotExist) {
		return knownRing{}, nil
	}
	if err != nil {
		return knownRing{}, err
	}
	mark, doc, _ := bytes.Cut(body, []byte("\n"))
	k := knownRing{bootstrapped: string(mark) == "bootstrapped"}
	if k.doc, err = ring.Decode(doc); err != nil {
		return knownRing{}, fmt.Errorf("read ring file: %w", err)
	}
	return k, nil
}

func (k knownRing) save(dir string) error {
	doc, err := ring.Encode(k.doc)
	if err != nil {
		return fmt.Errorf("write ring file: %w", err)
	}
	mark := "new\n"
	if k.bootstrapped {
		mark = "bootstrapped\n"
	}
	return writeFile(filepath.Join(dir, ringFile), ringFile, append([]byte(mark), doc...))
}
