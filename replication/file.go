package replication

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rosterdb/rosterdb/replication/core"
)

// A small file of the data directory is one line, `rosterdb KIND VERSION CRC`,
// and a body; CRC is the CRC-32C of the body in hex. It is replaced as a whole.
const fileVersion = 1

func writeFile(path, kind string, body []byte) error {
	head := fmt.Sprintf("rosterdb %s %d %08x\n", kind, fileVersion, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	_, err = f.Write(append([]byte(head), body...))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	return nil
}

func readFile(path, kind string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	head, body, _ := bytes.Cut(b, []byte("\n"))
	f := strings.Fields(string(head))
	if len(f) != 4 || f[0] != "rosterdb" || f[1] != kind {
		return nil, fmt.Errorf("%s: %w: this is no %s file; %s", path, ErrDamaged, kind, core.WhatToDo)
	}
	if v, err := strconv.Atoi(f[2]); err != nil || v > fileVersion {
		return nil, fmt.Errorf("%s: %w: version %s, this program knows %d; run a newer program", path, ErrNewerFormat, f[2], fileVersion)
	}
	sum, err := strconv.ParseUint(f[3], 16, 32)
	if err != nil || uint32(sum) != crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) {
		return nil, fmt.Errorf("%s: %w: checksum does not match; %s", path, ErrDamaged, core.WhatToDo)
	}
	return body, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
