package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// Restore replaces the state by a snapshot taken at that position; conf is the
// configuration that goes with it. It is durable when Restore returns. On an
// error the partition is unchanged. Errors: ErrCorrupt, ErrNewerFormat,
// ErrFull; any other leaves the store dead.
func (p *Partition) Restore(index, term uint64, conf, data []byte) error {
	s := p.store
	s.flushing.Lock()
	defer s.flushing.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	s.beginWriting()
	defer s.endWriting()
	p.mu.Lock()
	defer p.mu.Unlock()
	if index < p.pos.index {
		return fmt.Errorf("restore partition %d: snapshot at %d is older than the state at %d", p.id, index, p.pos.index)
	}
	frames, err := readFrames(data)
	if err != nil {
		return fmt.Errorf("restore partition %d: %w", p.id, err)
	}
	r := restorer{p: p, pos: position{index: index, term: term, conf: conf}}
	err = s.db.Update(func(tx *bbolt.Tx) error { return r.run(tx, frames) })
	if err == nil {
		s.dirty.Add(-p.unflushed())
		err = s.db.View(p.load)
	} else if r.bad {
		return fmt.Errorf("restore partition %d: %w", p.id, err)
	}
	if err = diskError(err); err != nil && !errors.Is(err, ErrFull) {
		return s.fail(fmt.Errorf("%w: restore partition %d: %w", ErrFailed, p.id, err))
	}
	return err
}

func (p *Partition) unflushed() int64 {
	n := p.active.bytes
	if p.flushing != nil {
		n += p.flushing.bytes
	}
	return n
}

// frame is one frame of a snapshot.
type frame struct {
	kind    byte
	content []byte
}

// readFrames checks the snapshot's format and checksums.
func readFrames(data []byte) ([]frame, error) {
	const head = len(snapshotMagic) + 4
	if len(data) < head || [8]byte(data[:8]) != snapshotMagic {
		return nil, fmt.Errorf("%w: not a snapshot", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(data[8:]); v != snapshotFormat {
		return nil, fmt.Errorf("%w: snapshot version %d, this program knows %d: run the newer program", ErrNewerFormat, v, snapshotFormat)
	}
	var frames []frame
	var sum uint32
	for off := head; off < len(data); {
		rest := data[off:]
		if len(rest) < frameHeader {
			return nil, fmt.Errorf("%w: snapshot is cut short at offset %d", ErrCorrupt, off)
		}
		n := binary.LittleEndian.Uint32(rest)
		if n < frameHeader || uint64(n) > uint64(len(rest)) {
			return nil, fmt.Errorf("%w: snapshot frame at offset %d has a wrong length", ErrCorrupt, off)
		}
		sum = crc32.Update(sum, castagnoli, rest[8:n])
		if binary.LittleEndian.Uint32(rest[4:]) != sum {
			return nil, fmt.Errorf("%w: snapshot frame at offset %d does not match its checksum", ErrCorrupt, off)
		}
		frames = append(frames, frame{rest[8], rest[frameHeader:n]})
		off += int(n)
	}
	if len(frames) < 2 || frames[0].kind != frameHead || frames[len(frames)-1].kind != frameEnd {
		return nil, fmt.Errorf("%w: snapshot lacks its head or its end", ErrCorrupt)
	}
	return frames, nil
}

// restorer writes a snapshot's content into bbolt.
type restorer struct {
	p      *Partition
	pos    position
	w      writer
	counts [3]uint64
	bad    bool // the snapshot is wrong, not the disk

	b, sessions, roots, objects *bbolt.Bucket
}

func (r *restorer) run(tx *bbolt.Tx, frames []frame) error {
	if err := r.buckets(tx); err != nil {
		return err
	}
	for _, f := range frames {
		d := binenc.Reader{B: f.content}
		if err := r.frame(f.kind, &d); err != nil {
			return err
		}
		if err := d.End(); err != nil {
			return r.wrong(fmt.Errorf("frame of kind %d: %w", f.kind, err))
		}
	}
	return nil
}

func (r *restorer) wrong(err error) error {
	r.bad = true
	return fmt.Errorf("%w: snapshot: %w", ErrCorrupt, err)
}

// buckets empties the partition's bucket.
func (r *restorer) buckets(tx *bbolt.Tx) (err error) {
	if tx.Bucket(r.p.key) != nil {
		if err := tx.DeleteBucket(r.p.key); err != nil {
			return err
		}
	}
	if r.b, err = tx.CreateBucket(r.p.key); err != nil {
		return err
	}
	for _, sub := range []struct {
		to   **bbolt.Bucket
		name []byte
	}{{&r.sessions, sessionsBucket}, {&r.roots, rootsBucket}, {&r.objects, objectsBucket}} {
		if *sub.to, err = r.b.CreateBucket(sub.name); err != nil {
			return err
		}
		(*sub.to).FillPercent = 0.9 // keys come in order
	}
	return nil
}

func (r *restorer) frame(kind byte, d *binenc.Reader) error {
	switch kind {
	case frameHead:
		return r.head(d)
	case frameRing:
		rest := d.B
		d.Uvarint()
		d.B = nil
		return r.w.put(r.b, ringKey, append(r.w.record(len(rest)), rest...))
	case frameSessions:
		return r.each(d, 0, r.session)
	case frameRoots:
		return r.each(d, 1, r.root)
	case frameObjects:
		return r.each(d, 2, r.object)
	case frameEnd:
		if got := [3]uint64{d.Uvarint(), d.Uvarint(), d.Uvarint()}; got != r.counts {
			return r.wrong(fmt.Errorf("it should hold %v sessions, roots and objects, not %v", got, r.counts))
		}
		return nil
	}
	return r.wrong(fmt.Errorf("unknown frame kind %d", kind))
}

func (r *restorer) each(d *binenc.Reader, count int, item func(*binenc.Reader) error) error {
	for len(d.B) > 0 {
		if err := item(d); err != nil {
			return err
		}
		r.counts[count]++
	}
	return nil
}

func (r *restorer) head(d *binenc.Reader) error {
	id := d.Uvarint()
	pos, err := decodePosition(d.B)
	d.B = nil
	switch {
	case err != nil || d.Bad:
		return r.wrong(binenc.ErrMalformed)
	case id != uint64(r.p.id):
		return r.wrong(fmt.Errorf("it is of partition %d", id))
	case pos.index != r.pos.index || pos.term != r.pos.term:
		return r.wrong(fmt.Errorf("it is at entry %d of term %d, not %d of term %d", pos.index, pos.term, r.pos.index, r.pos.term))
	}
	r.pos.logTime = pos.logTime
	return r.w.put(r.b, positionKey, r.pos.append(r.w.record(64+len(r.pos.conf))))
}

func (r *restorer) session(d *binenc.Reader) error {
	p := d.Bytes()
	if len(p) < 8 {
		return r.wrong(binenc.ErrMalformed)
	}
	if _, err := decodeSession(op.Session(binary.BigEndian.Uint64(p)), p[8:]); err != nil {
		return r.wrong(err)
	}
	return r.w.put(r.sessions, p[:8], append(r.w.record(len(p)-8), p[8:]...))
}

func (r *restorer) root(d *binenc.Reader) error {
	root := d.Bytes()
	revision := d.Uvarint()
	if d.Bad || len(root) == 0 || len(root) > op.MaxRoot {
		return r.wrong(binenc.ErrMalformed)
	}
	return r.w.put(r.roots, root, binary.AppendUvarint(r.w.record(binary.MaxVarintLen64), revision))
}

func (r *restorer) object(d *binenc.Reader) error {
	key, payload := d.Bytes(), d.Bytes()
	if _, err := decodeObject(payload); err != nil || len(key) == 0 || len(key) > op.MaxRoot+1+op.MaxPath {
		return r.wrong(binenc.ErrMalformed)
	}
	return r.w.put(r.objects, key, append(r.w.record(len(payload)), payload...))
}
