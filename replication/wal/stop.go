package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
)

// A log that is closed in good order leaves a file behind that names its last
// record. With it the next Open can tell a damaged last record, which was
// acknowledged, from one that a crash tore, which was not. Open removes the file
// before anything is appended, so that it never speaks for a later life.
const (
	stopFile = "stopped"
	stopSize = 20 // magic, CRC32C of the rest, number of the last record
)

var stopMagic = [8]byte{'R', 'D', 'B', 'S', 'T', 'O', 'P', '\n'}

// markStop writes the mark. What was appended is durable already; the sync shows
// that the file still is the one that was written.
func (l *Log) markStop() error {
	if err := l.file.Datasync(); err != nil {
		return err
	}
	b := make([]byte, stopSize)
	copy(b, stopMagic[:])
	binary.LittleEndian.PutUint64(b[12:], l.next-1)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	temp := l.path(newPrefix + stopFile)
	f, err := l.fs.Create(temp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = l.fs.Rename(temp, l.path(stopFile))
	}
	if err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// readStop returns the number of the last record that the log had when it was
// closed; 0 when nothing tells, because the node crashed or the mark is unreadable.
func (l *Log) readStop() (last uint64, err error) {
	f, err := l.fs.Open(l.path(stopFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, stopSize)
	if n, _ := f.ReadAt(b, 0); n < stopSize || [8]byte(b[:8]) != stopMagic ||
		binary.LittleEndian.Uint32(b[8:]) != crc32.Checksum(b[12:], castagnoli) {
		return 0, nil
	}
	return binary.LittleEndian.Uint64(b[12:]), nil
}

// clearStop removes the mark, durably.
func (l *Log) clearStop() error {
	err := l.fs.Remove(l.path(stopFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = l.fs.SyncDir(l.dir)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", l.path(stopFile), err)
	}
	return nil
}
