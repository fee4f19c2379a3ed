package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"syscall"
)

const (
	segSuffix   = ".wal"
	sparePrefix = "spare-"
	newPrefix   = "new-"
	maxSpares   = 2
)

func segName(number uint64) string { return fmt.Sprintf("%016x%s", number, segSuffix) }

// parseName tells the number of a segment (kind segSuffix) or spare (kind sparePrefix).
func parseName(name string) (kind string, number uint64, ok bool) {
	if hex, found := strings.CutSuffix(name, segSuffix); found && len(hex) == 16 {
		n, err := strconv.ParseUint(hex, 16, 64)
		return segSuffix, n, err == nil && segName(n) == name
	}
	if dec, found := strings.CutPrefix(name, sparePrefix); found {
		n, err := strconv.ParseUint(dec, 10, 64)
		return sparePrefix, n, err == nil
	}
	return "", 0, false
}

// isFull tells want of room from other errors of a disk.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func (l *Log) path(name string) string { return path.Join(l.dir, name) }

// rotate makes a new active segment with room for a record of size bytes. Into the
// old one, of which all records are durable already, it writes that another follows.
func (l *Log) rotate(size int64) error {
	size = pageUp(size) + dataStart
	name, err := l.takeSpare(size)
	if err != nil {
		return err
	}
	seg := &segment{number: 1, size: max(size, l.opt.SegmentSize), last: make(map[uint32]uint64)}
	if len(l.segs) > 0 {
		seg.number = l.active().number + 1
	}
	seg.name = segName(seg.number)
	f, salt, err := l.activate(name, seg)
	if errors.Is(err, ErrFull) {
		l.spares, l.full = append(l.spares, name), true
		return err
	}
	if err != nil {
		return l.fail("begin segment "+seg.name, err)
	}
	if l.file != nil {
		if err := l.endSegment(seg.number); err != nil {
			return l.fail("end segment", err)
		}
	}
	l.segs = append(l.segs, seg)
	l.file, l.off, l.sum = f, dataStart, saltSum(salt)
	if len(l.spares) == 0 {
		l.prepare()
	}
	return nil
}

// endSegment notes in the active segment, durably, that the next one has begun: no record of that is
// acknowledged before, so a log without its newest segment is never taken for a whole one.
func (l *Log) endSegment(next uint64) error {
	if !l.opt.Faults.EndUnmarked {
		if _, err := l.file.WriteAt(encodeNext(l.sum, next), nextMark); err != nil {
			return err
		}
		if err := l.file.Datasync(); err != nil {
			return err
		}
	}
	return l.file.Close()
}

// takeSpare returns the name of a file of at least size bytes, without directory.
// A record larger than a segment gets a file of its own size.
func (l *Log) takeSpare(size int64) (string, error) {
	if size > l.opt.SegmentSize {
		l.spareID++
		name, err := l.makeSpare(l.spareID, size)
		if err != nil {
			return "", l.prepareFailed(err)
		}
		return name, nil
	}
	if len(l.spares) == 0 {
		if err := l.needSpare(); err != nil {
			return "", err
		}
	}
	name := l.spares[0]
	l.spares = l.spares[1:]
	return name, nil
}

// activate turns a spare into the segment. The header is durable before the
// name is, and the name before the first record is written.
func (l *Log) activate(spare string, seg *segment) (File, uint64, error) {
	var salt [8]byte
	if _, err := l.opt.Rand.Read(salt[:]); err != nil {
		return nil, 0, fmt.Errorf("make salt: %w", err)
	}
	h := segHeader{
		store:  l.store,
		number: seg.number,
		first:  l.next,
		salt:   binary.LittleEndian.Uint64(salt[:]),
		size:   seg.size,
	}
	f, err := l.fs.Open(l.path(spare))
	if err != nil {
		return nil, 0, err
	}
	err = func() error {
		page := make([]byte, dataStart) // nothing else may remain in it
		copy(page, h.encode())
		if _, err := f.WriteAt(page, 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if err := l.fs.Rename(l.path(spare), l.path(seg.name)); isFull(err) {
			return fmt.Errorf("%w: make room on the disk of %s: %w", ErrFull, l.dir, err)
		} else if err != nil {
			return err
		}
		return l.fs.SyncDir(l.dir)
	}()
	if err != nil {
		f.Close() // the first error tells more
		return nil, 0, err
	}
	return f, h.salt, nil
}

// needSpare waits for the spare being made, or makes one. ErrFull if there is
// no room.
func (l *Log) needSpare() error {
	for l.preparing {
		l.ready.Wait()
	}
	if err := l.usable(); err != nil {
		return err
	}
	if len(l.spares) > 0 {
		l.full = false
		return nil
	}
	l.spareID++
	name, err := l.makeSpare(l.spareID, l.opt.SegmentSize)
	if err != nil {
		return l.prepareFailed(err)
	}
	l.addSpare(name)
	return nil
}

func (l *Log) addSpare(name string) {
	l.spares = append(l.spares, name)
	l.full = false
}

func (l *Log) prepareFailed(err error) error {
	if isFull(err) {
		l.full = true
		return fmt.Errorf("%w: make room on the disk of %s: %w", ErrFull, l.dir, err)
	}
	return l.fail("prepare segment", err)
}

// prepare makes a spare, on a goroutine unless Options.Inline.
func (l *Log) prepare() {
	l.spareID++
	id := l.spareID
	if l.opt.Inline {
		l.prepared(l.makeSpare(id, l.opt.SegmentSize))
		return
	}
	l.preparing = true
	l.preparer.Add(1)
	go func() {
		defer l.preparer.Done()
		name, err := l.makeSpare(id, l.opt.SegmentSize)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.preparing = false
		l.prepared(name, err)
		l.ready.Broadcast()
	}()
}

// prepared takes note of a new spare; Append tells the error when it matters.
func (l *Log) prepared(name string, err error) {
	if err != nil {
		_ = l.prepareFailed(err)
		return
	}
	l.addSpare(name)
}

// makeSpare makes a file filled with zeros. It uses nothing that mu guards.
func (l *Log) makeSpare(id uint64, size int64) (string, error) {
	suffix := strconv.FormatUint(id, 10)
	temp, name := newPrefix+suffix, sparePrefix+suffix
	f, err := l.fs.Create(l.path(temp))
	if err != nil {
		return "", fmt.Errorf("create segment: %w", err)
	}
	err = f.Allocate(size)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = l.fs.Rename(l.path(temp), l.path(name))
	}
	if err != nil {
		// Give the room back at once. What remains after an error here is
		// removed by the next Open.
		_ = l.fs.Remove(l.path(temp))
		return "", fmt.Errorf("allocate segment of %d bytes: %w", size, err)
	}
	return name, nil
}
