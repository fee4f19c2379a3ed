package wal

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// DefaultSegmentSize is the size of a segment in bytes.
const DefaultSegmentSize = 64 << 20

// keepBuffer is the largest encoding buffer kept between appends, in bytes.
const keepBuffer = 8 << 20

// Options of a Log. The zero value is what a node runs with.
type Options struct {
	// SegmentSize in bytes, rounded up to a multiple of 4096; 0 is DefaultSegmentSize.
	SegmentSize int64
	// Inline prepares segments inside Append instead of on a goroutine, so that
	// a simulator is deterministic.
	Inline bool
	// Rand makes the salts of segments; nil is crypto/rand.
	Rand   io.Reader
	Faults Faults
}

// Log is the write-ahead log of a node, shared by all its groups.
type Log struct {
	fs    FS
	dir   string
	store [16]byte
	opt   Options

	releasing sync.Mutex // held by Release, and by Close to wait for it
	preparer  sync.WaitGroup

	mu        sync.Mutex // guards what follows; held during a sync
	ready     *sync.Cond // a preparer has ended
	err       error      // why the log is dead
	closed    bool
	segs      []*segment // oldest first; the last one is active
	file      File       // of the active segment
	off       int64      // where the next record begins
	next      uint64     // number of the next record
	sum       uint32     // saltSum of the active segment
	groups    map[uint32]*position
	spares    []string // names of prepared files
	spareID   uint64   // last number given to a spare
	preparing bool
	full      bool
	released  map[uint32]uint64 // as of the last Release
	buf       []byte
	appends   uint64
	written   uint64
}

// segment is a file that holds records.
type segment struct {
	number uint64
	name   string
	size   int64
	last   map[uint32]uint64 // each group's highest entry here that still counts
}

// position is where the log stands for one group.
type position struct {
	last     uint64 // index of the last entry; 0: none seen
	state    HardState
	stateSeg uint64 // segment that holds state; 0: none
	snap     Snapshot
	snapSeg  uint64
}

// Append makes the batch durable: one write and one fdatasync. One caller at a
// time; the batch is not kept. After ErrFull nothing of the batch was written
// and the log is usable; after any other error the log is dead (ErrFailed).
// While there is no room, batches without entries (votes, terms) still succeed
// as long as the active segment lasts.
func (l *Log) Append(b *Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if len(b.Entries)+len(b.States)+len(b.Snapshots) == 0 {
		return nil
	}
	if l.full && len(b.Entries) > 0 {
		if err := l.needSpare(); err != nil {
			return err
		}
	}
	return l.append(b)
}

func (l *Log) usable() error {
	if l.closed {
		return ErrClosed
	}
	return l.err
}

// fail makes the log dead.
func (l *Log) fail(what string, err error) error {
	l.err = fmt.Errorf("%w: %s: %w: restart the node once the disk is sound", ErrFailed, what, err)
	return l.err
}

// append encodes, writes and syncs one record.
func (l *Log) append(b *Batch) error {
	if cap(l.buf) < recHeaderSize {
		l.buf = make([]byte, recHeaderSize, 64<<10)
	}
	rec := encodeBatch(l.buf[:recHeaderSize], b)
	if cap(rec) <= keepBuffer {
		l.buf = rec[:0]
	} else {
		l.buf = nil
	}
	payload := len(rec) - recHeaderSize
	if payload > maxPayload {
		return fmt.Errorf("write-ahead log: batch of %d bytes is over the limit of %d; split it", payload, maxPayload)
	}
	size := align(int64(len(rec)))
	if l.off+size > l.active().size {
		if err := l.rotate(size); err != nil {
			return err
		}
	}
	seg := l.active()
	if err := l.note(seg, b); err != nil {
		return l.fail("append", err)
	}
	putRecordHeader(rec, payload, l.sum, seg.number, l.next)
	if err := l.write(pad(rec, l.off), seg); err != nil {
		return err
	}
	l.off += size
	l.next++
	l.appends++
	l.written += uint64(size)
	return nil
}

// pad appends zeros so that a write at off ends at a page.
func pad(rec []byte, off int64) []byte {
	end := off + int64(len(rec))
	var zeros [pageSize]byte
	return append(rec, zeros[:pageUp(end)-end]...)
}

func (l *Log) write(rec []byte, seg *segment) error {
	if _, err := l.file.WriteAt(rec, l.off); err != nil {
		return l.fail("write "+seg.name, err)
	}
	if l.opt.Faults.SkipSync {
		return nil
	}
	if err := l.file.Datasync(); err != nil {
		return l.fail("sync "+seg.name, err)
	}
	return nil
}

func (l *Log) active() *segment { return l.segs[len(l.segs)-1] }

// note keeps account of where each group's newest records lie. An error means
// that the batch does not continue the log.
func (l *Log) note(seg *segment, b *Batch) error {
	for i := range b.Snapshots {
		s := b.Snapshots[i]
		p := l.position(s.Group)
		p.snap, p.snapSeg, p.last = s, seg.number, s.Index
		l.forget(s.Group, 0)
	}
	var p *position
	for i := range b.Entries {
		e := &b.Entries[i]
		if i == 0 || e.Group != b.Entries[i-1].Group {
			p = l.position(e.Group)
		}
		switch {
		case e.Index == 0 || e.Index <= p.snap.Index:
			return fmt.Errorf("group %d: entry %d lies below its snapshot %d", e.Group, e.Index, p.snap.Index)
		case p.last != 0 && e.Index > p.last+1:
			return fmt.Errorf("group %d: entry %d leaves a gap behind %d", e.Group, e.Index, p.last)
		case e.Index <= p.last:
			l.forget(e.Group, e.Index-1)
		}
		p.last = e.Index
		seg.last[e.Group] = e.Index
	}
	for i := range b.States {
		s := b.States[i]
		p := l.position(s.Group)
		p.state, p.stateSeg = s, seg.number
	}
	return nil
}

func (l *Log) position(group uint32) *position {
	p := l.groups[group]
	if p == nil {
		p = &position{}
		l.groups[group] = p
	}
	return p
}

// forget says that the group's entries above index have been replaced.
func (l *Log) forget(group uint32, index uint64) {
	for _, s := range l.segs {
		if s.last[group] > index {
			s.last[group] = index
		}
	}
}

// Last is the number of the last durable record, 0 before the first. It never falls,
// also not over a restart. Safe for concurrent use; it may wait for a running sync.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - 1
}

// Stats is safe for concurrent use; it may wait for a running sync.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Stats{
		Segments: len(l.segs),
		Spares:   len(l.spares),
		Bytes:    int64(len(l.spares)) * l.opt.SegmentSize,
		Appends:  l.appends,
		Written:  l.written,
		Full:     l.full,
	}
	for _, s := range l.segs {
		st.Bytes += s.size
	}
	if len(l.segs) > 1 {
		if g, pinned := l.pinned(l.segs[0], l.released); pinned {
			st.PinnedBy, st.PinnedSegments = g, len(l.segs)
		}
	}
	return st
}

// Close waits for the log's goroutine, notes that the log ends in good order and
// closes the file. Everything that was appended is durable already.
func (l *Log) Close() error {
	l.releasing.Lock()
	defer l.releasing.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	dead := l.err != nil
	l.mu.Unlock()
	l.preparer.Wait()
	if !dead {
		// Without the mark the next Open is merely as careful as after a crash.
		_ = l.markStop()
	}
	if err := l.file.Close(); err != nil && !errors.Is(err, ErrCrashed) {
		return fmt.Errorf("close write-ahead log: %w", err)
	}
	return nil
}
