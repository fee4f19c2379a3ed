package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// checkpoint keeps how many objects of a file are in a cluster.
type checkpoint struct {
	Checksum string `json:"checksum"` // of the file
	Cluster  string `json:"cluster"`
	Objects  int64  `json:"objects"`

	file string // empty: nothing is noted
}

// read says how many objects an earlier try has written, and whether there was one.
func (m *checkpoint) read() (objects int64, begun bool, err error) {
	if m.file == "" {
		return 0, false, nil
	}
	b, err := os.ReadFile(m.file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	var was checkpoint
	if err == nil {
		err = json.Unmarshal(b, &was)
	}
	if err != nil {
		return 0, false, fmt.Errorf("read how far an earlier try came: %w; delete %s to begin from the start", err, m.file)
	}
	if was.Checksum != m.Checksum || was.Cluster != m.Cluster {
		return 0, false, fmt.Errorf("%s is about another file or another cluster; delete it to begin from the start", m.file)
	}
	return was.Objects, true, nil
}

func (m *checkpoint) write(objects int64) error {
	if m.Objects = objects; m.file == "" {
		return nil
	}
	b, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(m.file+".tmp", b, 0o600)
	}
	if err == nil {
		err = os.Rename(m.file+".tmp", m.file)
	}
	if err != nil {
		return fmt.Errorf("note how far it came: %w", err)
	}
	return nil
}

func (m *checkpoint) remove() error {
	if m.file == "" {
		return nil
	}
	if err := os.Remove(m.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("everything is written, but %s is still there: %w; delete it", m.file, err)
	}
	return nil
}
