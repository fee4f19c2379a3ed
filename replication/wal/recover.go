package wal

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
)

// Open recovers the log in dir, which is created if needed. store is the id of
// the data directory. The caller makes sure that no other process has the log
// open. Errors: ErrCorrupt, ErrForeign, ErrNewerFormat, or ErrFull if there is
// no room for the first segment.
func Open(fs FS, dir string, store [16]byte, opt Options) (*Log, *Recovered, error) {
	if opt.SegmentSize <= 0 {
		opt.SegmentSize = DefaultSegmentSize
	}
	opt.SegmentSize = max(pageUp(opt.SegmentSize), dataStart+pageSize)
	if opt.Rand == nil {
		opt.Rand = rand.Reader
	}
	l := &Log{fs: fs, dir: dir, store: store, opt: opt, next: 1, groups: make(map[uint32]*position)}
	l.ready = sync.NewCond(&l.mu)
	if err := fs.MkdirAll(dir); err != nil {
		if isFull(err) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
		}
		return nil, nil, fmt.Errorf("make directory of the write-ahead log: %w", err)
	}
	if err := fs.SyncDir(path.Dir(path.Clean(dir))); err != nil {
		return nil, nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	rec, err := l.recover()
	if err != nil {
		if l.file != nil {
			l.file.Close() // the first error tells more
		}
		return nil, nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	return l, rec, nil
}

func (l *Log) recover() (*Recovered, error) {
	headers, err := l.scanDir()
	if err != nil {
		return nil, err
	}
	r := &recovery{log: l, out: &Recovered{Groups: make(map[uint32]*Group)}}
	if r.stopped, err = l.readStop(); err != nil {
		return nil, err
	}
	if l.opt.Faults.StopIgnored {
		r.stopped = 0
	}
	if len(headers) == 0 && r.stopped > 0 {
		return nil, fmt.Errorf("%w: the segments of %s are missing, it was closed with record %d: replace this node; put no older copy back", ErrCorrupt, l.dir, r.stopped)
	}
	for i, number := range headers {
		if err := r.segment(number, i == 0, i == len(headers)-1); err != nil {
			return nil, err
		}
	}
	if err := l.settle(); err != nil {
		return nil, err
	}
	if err := l.clearStop(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segs) == 0 {
		if err := l.rotate(0); err != nil {
			return nil, err
		}
	} else if len(l.spares) == 0 {
		l.prepare()
	}
	return r.out, nil
}

// settle makes durable what was found. A process that was killed between a write and its sync, or
// between a rename and the sync of the directory, leaves what every reader sees and a power cut would still take away:
// but from now on it counts, for raft, and for whoever asks for Last.
func (l *Log) settle() error {
	if l.opt.Faults.FoundUnsynced {
		return nil
	}
	if l.file != nil {
		if err := l.file.Datasync(); err != nil {
			return fmt.Errorf("sync %s: %w", l.path(l.active().name), err)
		}
	}
	return l.fs.SyncDir(l.dir)
}

// scanDir sorts out the directory: the numbers of the segments, ascending.
func (l *Log) scanDir() ([]uint64, error) {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, name := range names {
		kind, n, ok := parseName(name)
		switch {
		case strings.HasPrefix(name, newPrefix): // the node stopped while making it
			if err := l.fs.Remove(l.path(name)); err != nil {
				return nil, err
			}
		case !ok: // not ours
		case kind == segSuffix:
			numbers = append(numbers, n)
		default:
			l.spareID = max(l.spareID, n)
			if err := l.keepSpare(name); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(numbers)
	for i := 1; i < len(numbers); i++ {
		if numbers[i] != numbers[i-1]+1 {
			return nil, fmt.Errorf("%w: segment %s is missing: replace this node; put no older copy back",
				ErrCorrupt, l.path(segName(numbers[i-1]+1)))
		}
	}
	slices.SortFunc(l.spares, cmp.Compare[string])
	return numbers, nil
}

// keepSpare keeps a spare of the right size and removes others.
func (l *Log) keepSpare(name string) error {
	f, err := l.fs.Open(l.path(name))
	if err != nil {
		return err
	}
	size, err := f.Size()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if size == l.opt.SegmentSize && len(l.spares) < maxSpares {
		l.spares = append(l.spares, name)
		return nil
	}
	return l.fs.Remove(l.path(name))
}

// recovery reads the segments one after the other.
type recovery struct {
	log *Log
	out *Recovered
	buf []byte
	// stopped is the last record that a Close in good order vouches for; 0: none did.
	stopped uint64
}

func (r *recovery) corrupt(seg *segment, off int64, what string) error {
	return fmt.Errorf("%w: %s at offset %d: %s; nothing was changed: replace this node, its replicas have the data",
		ErrCorrupt, r.log.path(seg.name), off, what)
}

// segment reads one segment. The last one stays open as the active one.
func (r *recovery) segment(number uint64, first, last bool) error {
	l := r.log
	seg := &segment{number: number, name: segName(number), last: make(map[uint32]uint64)}
	f, err := l.fs.Open(l.path(seg.name))
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if !keep {
			f.Close() // only read from, or the error is on its way
		}
	}()
	if err := r.read(f); err != nil {
		return fmt.Errorf("read %s: %w", l.path(seg.name), err)
	}
	h, err := r.header(seg, first)
	if err != nil {
		return err
	}
	l.segs = append(l.segs, seg)
	end, err := r.records(seg, saltSum(h.salt))
	if err != nil || !last {
		return err
	}
	if next := decodeNext(r.buf, saltSum(h.salt)); next != 0 {
		return fmt.Errorf("%w: segment %s is missing, %s says that it had begun: replace this node; put no older copy back",
			ErrCorrupt, l.path(segName(next)), l.path(seg.name))
	}
	if err := r.tail(f, seg, saltSum(h.salt), end); err != nil {
		return err
	}
	l.file, l.off, l.sum, keep = f, end, saltSum(h.salt), true
	return nil
}

// read reads the whole file into the buffer.
func (r *recovery) read(f File) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	if int64(cap(r.buf)) < size {
		r.buf = make([]byte, size)
	}
	r.buf = r.buf[:size]
	if n, err := f.ReadAt(r.buf, 0); n < len(r.buf) || err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("got %d of %d bytes: %w", n, size, err)
	}
	return nil
}

func (r *recovery) header(seg *segment, first bool) (h segHeader, err error) {
	l := r.log
	if err := h.decode(r.buf); err != nil {
		if errors.Is(err, ErrNewerFormat) {
			return h, fmt.Errorf("%s: %w", l.path(seg.name), err)
		}
		return h, r.corrupt(seg, 0, "the segment header is damaged")
	}
	switch {
	case h.store != l.store:
		return h, fmt.Errorf("%w: %s is of store %x, this is %x: put back the directory that belongs here",
			ErrForeign, l.path(seg.name), h.store, l.store)
	case h.number != seg.number:
		return h, r.corrupt(seg, 0, fmt.Sprintf("the file holds segment %d", h.number))
	case h.size > int64(len(r.buf)):
		return h, r.corrupt(seg, int64(len(r.buf)), fmt.Sprintf("the file is shorter than its %d bytes", h.size))
	case first:
		l.next = h.first
	case h.first != l.next:
		return h, r.corrupt(seg, 0, fmt.Sprintf("records %d to %d before this segment are missing or damaged", l.next, h.first-1))
	}
	seg.size = h.size
	r.buf = r.buf[:h.size]
	return h, nil
}

// records reads as many valid records as there are; end is where they stop.
func (r *recovery) records(seg *segment, sum uint32) (end int64, err error) {
	l := r.log
	off := int64(dataStart)
	for off < seg.size {
		h, ok := readRecordHeader(r.buf[off:], sum, seg.number)
		if !ok || h.number != l.next || h.length > seg.size-off-recHeaderSize {
			break
		}
		payload := r.buf[off+recHeaderSize : off+recHeaderSize+h.length]
		good := checksum(sum, payload) == h.payloadSum
		if !good && !l.opt.Faults.SkipCRC {
			break
		}
		if good && h.kind != recordBatch {
			return 0, fmt.Errorf("%w: %s at offset %d: record type %d: run the newer program",
				ErrNewerFormat, l.path(seg.name), off, h.kind)
		}
		b, err := decodeBatch(slices.Clone(payload))
		if err == nil {
			err = r.apply(seg, b)
		}
		if err != nil {
			if !good {
				break // only with Faults.SkipCRC
			}
			return 0, r.corrupt(seg, off, err.Error())
		}
		off += align(recHeaderSize + h.length)
		l.next++
	}
	return off, nil
}

// tail looks behind the last valid record: it refuses a log that goes on, and
// wipes out a torn record.
func (r *recovery) tail(f File, seg *segment, sum uint32, end int64) error {
	for off := end + 8; off+recHeaderSize <= seg.size; off += 8 {
		if h, ok := readRecordHeader(r.buf[off:], sum, seg.number); ok {
			return r.corrupt(seg, end, fmt.Sprintf("record %d is damaged, but record %d follows at offset %d", r.log.next, h.number, off))
		}
	}
	if r.log.next-1 < r.stopped {
		return r.corrupt(seg, end, fmt.Sprintf("record %d is damaged; the log was closed in good order with record %d", r.log.next, r.stopped))
	}
	// Every write fills its last page with zeros. Where a record would begin at
	// a page that was never written, an older life of the file may show.
	torn := false
	for _, c := range r.buf[end:min(pageUp(end), seg.size)] {
		torn = torn || c != 0
	}
	if end == pageUp(end) && end < seg.size {
		_, torn = readRecordHeader(r.buf[end:], sum, seg.number)
	}
	if !torn {
		return nil
	}
	r.out.Cut = &Cut{File: r.log.path(seg.name), Offset: end}
	zeros := make([]byte, min(seg.size-end, 1<<20))
	for off := end; off < seg.size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), seg.size-off)], off); err != nil {
			return fmt.Errorf("cut torn tail of %s: %w", seg.name, err)
		}
	}
	if err := f.Datasync(); err != nil {
		return fmt.Errorf("cut torn tail of %s: %w", seg.name, err)
	}
	return nil
}

// apply adds a batch to the result.
func (r *recovery) apply(seg *segment, b *Batch) error {
	if err := r.log.note(seg, b); err != nil {
		return err
	}
	for _, s := range b.Snapshots {
		g := r.group(s.Group)
		g.Snapshot, g.Entries = s, nil
	}
	for _, e := range b.Entries {
		g := r.group(e.Group)
		if n := len(g.Entries); n > 0 {
			if first := g.Entries[0].Index; e.Index <= first {
				g.Entries = g.Entries[:0]
			} else {
				g.Entries = g.Entries[:e.Index-first]
			}
		}
		g.Entries = append(g.Entries, e)
	}
	for _, s := range b.States {
		r.group(s.Group).HardState = s
	}
	return nil
}

func (r *recovery) group(id uint32) *Group {
	g := r.out.Groups[id]
	if g == nil {
		g = &Group{}
		r.out.Groups[id] = g
	}
	return g
}
