package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// stageBytes is how much of a snapshot gathers in memory before it is written.
const stageBytes = 4 << 20

// stagingKey is in a staging bucket, beside the tables: how far it is.
var stagingKey = []byte("staging")

// stagingBucket names the bucket beside a partition's in which a snapshot gathers.
func stagingBucket(id uint32) []byte { return binary.BigEndian.AppendUint32([]byte{'s'}, id) }

// Staging collects a snapshot frame by frame beside a partition's state, in
// several transactions, until Restore puts it in the state's place. What is
// written survives a crash: Stage with the same name goes on from there. One
// caller at a time; the partition may be used meanwhile.
type Staging struct {
	p    *Partition
	name []byte
	staged
	written int // frames that are durable

	buf  []stagedRecord
	size int
}

// staged is how far a snapshot has come.
type staged struct {
	next  int // frame that comes next
	sum   uint32
	count uint64
	done  bool
	pos   position
	ring  ringDoc
}

type stagedRecord struct {
	bucket, key, rec []byte
}

// Stage begins to collect the snapshot of that name, or goes on with it. What was
// collected of another is thrown away. Errors: ErrFull, ErrCorrupt, ErrClosed.
func (p *Partition) Stage(name []byte) (*Staging, error) {
	s := &Staging{p: p, name: slices.Clone(name)}
	other := false
	err := p.store.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(stagingBucket(p.id))
		if b != nil && !s.load(b) {
			s.staged, other = staged{}, true
		}
		return nil
	})
	if err == nil && other {
		err = p.DropStaging()
	}
	if err != nil {
		return nil, fmt.Errorf("stage snapshot of partition %d: %w", p.id, err)
	}
	s.written = s.next
	return s, nil
}

// create makes the bucket with its tables.
func (s *Staging) create(tx *bbolt.Tx) (*bbolt.Bucket, error) {
	b, err := tx.CreateBucket(stagingBucket(s.p.id))
	if err != nil {
		return nil, err
	}
	for _, t := range tables() {
		if _, err := b.CreateBucket(t.bucket); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// save writes how far the snapshot is.
func (s *Staging) save(b *bbolt.Bucket) error {
	rec := binenc.AppendBytes(make([]byte, 4, 256), s.name)
	for _, n := range []uint64{uint64(s.next), uint64(s.sum), s.count} {
		rec = binary.AppendUvarint(rec, n)
	}
	done := byte(0)
	if s.done {
		done = 1
	}
	rec = binenc.AppendBytes(append(rec, done), s.pos.append(nil))
	rec = s.ring.append(rec)
	return b.Put(stagingKey, seal(stagingKey, rec))
}

// load reads it; false when it is of another snapshot, or damaged.
func (s *Staging) load(b *bbolt.Bucket) bool {
	payload, err := unseal(stagingKey, b.Get(stagingKey))
	if err != nil {
		return false
	}
	d := binenc.Reader{B: payload}
	name := d.Bytes()
	s.next, s.sum, s.count, s.done = int(d.Uvarint()), uint32(d.Uvarint()), d.Uvarint(), d.Byte() == 1
	pos := d.Bytes()
	s.ring = ringDoc{epoch: d.Uvarint(), doc: slices.Clone(d.B)}
	if d.Bad || !bytes.Equal(name, s.name) {
		return false
	}
	if s.next > 0 {
		s.pos, err = decodePosition(pos)
	}
	return err == nil
}

// Next is the number of the frame that comes next.
func (s *Staging) Next() int { return s.next }

// Done tells whether the snapshot is complete and durable.
func (s *Staging) Done() bool { return s.done && s.written == s.next }

// Add takes the next frame, which is kept. Now and then it writes what has
// gathered, and always with the last frame. On an error nothing is lost but
// frames not written: ask Next. Errors: ErrCorrupt, ErrNewerFormat, ErrFull.
func (s *Staging) Add(frame []byte) error {
	before := s.staged
	if err := s.take(frame); err != nil {
		s.staged = before
		return fmt.Errorf("stage frame %d of partition %d: %w", before.next, s.p.id, err)
	}
	if s.size < stageBytes && !s.done {
		return nil
	}
	return s.Flush()
}

// take checks a frame and keeps its records.
func (s *Staging) take(frame []byte) error {
	if len(frame) < frameHeader || s.done {
		return fmt.Errorf("%w: a frame of %d bytes makes no sense here", ErrCorrupt, len(frame))
	}
	sum := crc32.Update(s.sum, castagnoli, frame[4:])
	if s.p.store.opt.Faults.FrameOrderIgnored {
		sum = binary.LittleEndian.Uint32(frame)
	}
	if binary.LittleEndian.Uint32(frame) != sum {
		return fmt.Errorf("%w: it does not match its checksum, or does not follow the one before", ErrCorrupt)
	}
	kind, content := frame[frameHeader-1], frame[frameHeader:]
	var err error
	switch {
	case kind == frameHead && s.next == 0:
		err = s.head(content)
	case kind == frameRecords && s.next > 0:
		err = s.records(content)
	case kind == frameEnd && s.next > 0:
		err = s.end(content)
	default:
		err = fmt.Errorf("%w: a frame of kind %d in place %d", ErrCorrupt, kind, s.next)
	}
	s.sum = sum
	s.next++
	return err
}

func (s *Staging) head(content []byte) error {
	d := binenc.Reader{B: content}
	if v := d.Uvarint(); v != snapshotFormat {
		return fmt.Errorf("%w: snapshot version %d, this program knows %d: run the newer program", ErrNewerFormat, v, snapshotFormat)
	}
	id, pos := d.Uvarint(), d.Bytes()
	s.ring = ringDoc{epoch: d.Uvarint(), doc: slices.Clone(d.B)}
	if d.Bad || id != uint64(s.p.id) {
		return fmt.Errorf("%w: the snapshot is of partition %d", ErrCorrupt, id)
	}
	var err error
	s.pos, err = decodePosition(pos)
	return err
}

func (s *Staging) records(content []byte) error {
	d := binenc.Reader{B: content}
	number := d.Byte()
	all := tables()
	i := slices.IndexFunc(all, func(t table) bool { return t.number == number })
	if i < 0 {
		return fmt.Errorf("%w: it has a table %d: run the newer program", ErrNewerFormat, number)
	}
	var list []stagedRecord
	size := 0
	for len(d.B) > 0 {
		key, payload := d.Bytes(), d.Bytes()
		if d.Bad {
			return fmt.Errorf("%w: %w", ErrCorrupt, binenc.ErrMalformed)
		}
		if err := all[i].valid(key, payload); err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		list = append(list, stagedRecord{all[i].bucket, key, seal(key, append(make([]byte, 4, 4+len(payload)), payload...))})
		size += len(key) + len(payload) + 4
	}
	s.buf = append(s.buf, list...)
	s.size += size
	s.count += uint64(len(list))
	return nil
}

func (s *Staging) end(content []byte) error {
	d := binenc.Reader{B: content}
	count := d.Uvarint()
	if err := d.End(); err != nil || count != s.count {
		return fmt.Errorf("%w: it should hold %d records, not %d", ErrCorrupt, count, s.count)
	}
	s.done = true
	return nil
}

// Flush writes what has gathered. After an error what was not written is to be
// added again, from Next on.
func (s *Staging) Flush() error {
	if s.written == s.next {
		return nil
	}
	buf := s.buf
	s.buf, s.size = nil, 0
	err := s.p.store.write(func(tx *bbolt.Tx) error {
		b := tx.Bucket(stagingBucket(s.p.id))
		if b == nil && s.written > 0 {
			return fmt.Errorf("%w: the staging of partition %d has vanished", ErrCorrupt, s.p.id)
		}
		if b == nil {
			var err error
			if b, err = s.create(tx); err != nil {
				return err
			}
		}
		for _, r := range buf {
			t := b.Bucket(r.bucket)
			t.FillPercent = 0.9 // keys come in order
			if err := t.Put(r.key, r.rec); err != nil {
				return err
			}
		}
		return s.save(b)
	})
	if err == nil {
		s.written = s.next
		return nil
	}
	// Back to what is on disk.
	if lerr := s.reload(); lerr != nil {
		return lerr
	}
	return err
}

func (s *Staging) reload() error {
	s.staged = staged{}
	return s.p.store.view(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(stagingBucket(s.p.id)); b != nil && !s.load(b) {
			return fmt.Errorf("%w: the staging of partition %d cannot be read", ErrCorrupt, s.p.id)
		}
		s.written = s.next
		return nil
	})
}

// DropStaging throws away what was collected of a snapshot, if anything was.
func (p *Partition) DropStaging() error {
	return p.store.write(func(tx *bbolt.Tx) error {
		if tx.Bucket(stagingBucket(p.id)) == nil {
			return nil
		}
		return discard(tx, stagingBucket(p.id))
	})
}
