package wal

import (
	"fmt"
	"strconv"
)

// Release removes or recycles the oldest segments as long as every group's
// entries in them are at or below released[group]; a group that is not named
// has released nothing, and one that is gone for good may be named with the
// highest index. Hard states that only those segments hold are written again
// first. Safe concurrently with Append. Errors are those of Append.
func (l *Log) Release(released map[uint32]uint64) error {
	l.releasing.Lock()
	defer l.releasing.Unlock()
	old, err := l.detach(released)
	if err != nil {
		return err
	}
	for _, seg := range old {
		if err := l.dispose(seg); err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.fail("release "+seg.name, err)
		}
	}
	return nil
}

// detach takes the segments that nobody needs off the list, oldest first.
func (l *Log) detach(released map[uint32]uint64) ([]*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return nil, err
	}
	l.released = make(map[uint32]uint64, len(released))
	for g, i := range released {
		l.released[g] = i
	}
	n := 0
	for n < len(l.segs)-1 {
		if _, pinned := l.pinned(l.segs[n], released); pinned {
			break
		}
		n++
	}
	if n == 0 {
		return nil, nil
	}
	if err := l.carry(l.segs[n-1].number); err != nil {
		return nil, err
	}
	old := l.segs[:n:n]
	l.segs = append([]*segment(nil), l.segs[n:]...)
	return old, nil
}

// pinned tells whether a group still needs the segment, and which: the one
// with the lowest number if there are several.
func (l *Log) pinned(seg *segment, released map[uint32]uint64) (group uint32, yes bool) {
	add := func(g uint32) {
		if !yes || g < group {
			group, yes = g, true
		}
	}
	for g, last := range seg.last {
		if last > released[g] {
			add(g)
		}
	}
	for g, p := range l.groups {
		if p.snapSeg == seg.number && p.snap.Index > released[g] {
			add(g)
		}
	}
	return group, yes
}

// carry writes again the hard states that lie in segments up to number.
func (l *Log) carry(number uint64) error {
	var b Batch
	for _, p := range l.groups {
		if p.stateSeg != 0 && p.stateSeg <= number {
			b.States = append(b.States, p.state)
		}
		if p.snapSeg != 0 && p.snapSeg <= number {
			p.snapSeg = 0 // the released index covers it
		}
	}
	if len(b.States) == 0 {
		return nil
	}
	return l.append(&b)
}

// dispose makes a spare of a segment or removes it. Its name must be durably
// gone before its bytes are touched or the next one goes: recovery then sees a
// run without gaps.
func (l *Log) dispose(seg *segment) error {
	l.mu.Lock()
	recycle := seg.size == l.opt.SegmentSize && len(l.spares) < maxSpares
	l.spareID++
	spare := sparePrefix + strconv.FormatUint(l.spareID, 10)
	l.mu.Unlock()
	var err error
	if recycle {
		err = l.fs.Rename(l.path(seg.name), l.path(spare))
		recycle = !isFull(err) // the directory may need a block for the new name
	}
	if !recycle {
		err = l.fs.Remove(l.path(seg.name))
	}
	if err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("make the release durable: %w", err)
	}
	if recycle {
		l.mu.Lock()
		l.addSpare(spare)
		l.mu.Unlock()
	}
	return nil
}
