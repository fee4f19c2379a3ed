package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

const (
	formatVersion = 1
	pageSize      = 4096
	dataStart     = pageSize // the segment header has a page of its own
	segHeaderSize = 64
	nextMark      = 2048 // in the header's page, in a sector of its own
	nextMarkSize  = 16
	recHeaderSize = 32
	recordBatch   = 1
	maxPayload    = 1<<31 - 1 - pageSize - recHeaderSize
)

var (
	segMagic   = [8]byte{'R', 'D', 'B', 'W', 'A', 'L', '\r', '\n'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// segHeader is the first page of a segment.
type segHeader struct {
	store  [16]byte
	number uint64
	first  uint64 // number of the first record
	salt   uint64
	size   int64
}

func (h *segHeader) encode() []byte {
	b := make([]byte, segHeaderSize)
	copy(b, segMagic[:])
	le := binary.LittleEndian
	le.PutUint32(b[12:], formatVersion)
	copy(b[16:], h.store[:])
	le.PutUint64(b[32:], h.number)
	le.PutUint64(b[40:], h.first)
	le.PutUint64(b[48:], h.salt)
	le.PutUint64(b[56:], uint64(h.size))
	le.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	return b
}

// decode checks magic and checksum before the version: their place is the same
// in every format, so a flipped bit is not taken for a newer version.
func (h *segHeader) decode(b []byte) error {
	le := binary.LittleEndian
	if len(b) < segHeaderSize || !bytes.Equal(b[:8], segMagic[:]) {
		return fmt.Errorf("%w: not a segment header", ErrCorrupt)
	}
	if le.Uint32(b[8:]) != crc32.Checksum(b[12:segHeaderSize], castagnoli) {
		return fmt.Errorf("%w: checksum of the segment header is wrong", ErrCorrupt)
	}
	if v := le.Uint32(b[12:]); v != formatVersion {
		return fmt.Errorf("%w: version %d, this program knows %d: run the newer program", ErrNewerFormat, v, formatVersion)
	}
	copy(h.store[:], b[16:])
	h.number = le.Uint64(b[32:])
	h.first = le.Uint64(b[40:])
	h.salt = le.Uint64(b[48:])
	h.size = int64(le.Uint64(b[56:]))
	return nil
}

// encodeNext is the mark of a segment that another follows.
func encodeNext(sum uint32, next uint64) []byte {
	b := make([]byte, nextMarkSize)
	binary.LittleEndian.PutUint64(b[8:], next)
	binary.LittleEndian.PutUint32(b, checksum(sum, b[8:]))
	return b
}

// decodeNext reads the mark of a segment's header page; 0: there is none.
func decodeNext(page []byte, sum uint32) (next uint64) {
	b := page[nextMark : nextMark+nextMarkSize]
	if next = binary.LittleEndian.Uint64(b[8:]); binary.LittleEndian.Uint32(b) != checksum(sum, b[8:]) {
		return 0
	}
	return next
}

// saltSum starts a checksum with a segment's salt.
func saltSum(salt uint64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], salt)
	return crc32.Checksum(b[:], castagnoli)
}

// checksum continues a salted checksum over p.
func checksum(sum uint32, p []byte) uint32 { return crc32.Update(sum, castagnoli, p) }

// putRecordHeader fills in the header of rec, whose payload is in place.
func putRecordHeader(rec []byte, payload int, sum uint32, segment, number uint64) {
	le := binary.LittleEndian
	le.PutUint32(rec[4:], checksum(sum, rec[recHeaderSize:recHeaderSize+payload]))
	le.PutUint32(rec[8:], uint32(payload))
	le.PutUint32(rec[12:], recordBatch)
	le.PutUint64(rec[16:], segment)
	le.PutUint64(rec[24:], number)
	le.PutUint32(rec[0:], checksum(sum, rec[4:recHeaderSize]))
}

// recHeader is a record's header as read.
type recHeader struct {
	payloadSum uint32
	length     int64
	kind       byte
	number     uint64
}

// readRecordHeader reads the header at the beginning of b; ok is false if none
// of this segment is there.
func readRecordHeader(b []byte, sum uint32, segment uint64) (h recHeader, ok bool) {
	le := binary.LittleEndian
	if len(b) < recHeaderSize || le.Uint64(b[16:]) != segment {
		return h, false
	}
	if le.Uint32(b) != checksum(sum, b[4:recHeaderSize]) {
		return h, false
	}
	return recHeader{
		payloadSum: le.Uint32(b[4:]),
		length:     int64(le.Uint32(b[8:])),
		kind:       b[12],
		number:     le.Uint64(b[24:]),
	}, true
}

// align rounds up to the next place where a record may begin.
func align(n int64) int64 { return (n + 7) &^ 7 }

// pageUp rounds up to a whole page.
func pageUp(n int64) int64 { return (n + pageSize - 1) &^ (pageSize - 1) }

// encodeBatch appends the payload of a batch: the snapshots, states and
// entries, each with their count in front.
func encodeBatch(dst []byte, b *Batch) []byte {
	put := binary.AppendUvarint
	dst = put(dst, uint64(len(b.Snapshots)))
	for i := range b.Snapshots {
		s := &b.Snapshots[i]
		dst = put(put(put(dst, uint64(s.Group)), s.Index), s.Term)
	}
	dst = put(dst, uint64(len(b.States)))
	for i := range b.States {
		s := &b.States[i]
		dst = put(put(put(put(dst, uint64(s.Group)), s.Term), s.Vote), s.Commit)
	}
	dst = put(dst, uint64(len(b.Entries)))
	for i := range b.Entries {
		e := &b.Entries[i]
		dst = put(put(put(dst, uint64(e.Group)), e.Index), e.Term)
		dst = binenc.AppendBytes(append(dst, e.Type), e.Data)
	}
	return dst
}

// decodeBatch reads a payload. The entries' Data alias it.
func decodeBatch(p []byte) (*Batch, error) {
	d := binenc.Reader{B: p}
	b := &Batch{}
	if n := d.Count(3); n > 0 {
		b.Snapshots = make([]Snapshot, n)
		for i := range b.Snapshots {
			b.Snapshots[i] = Snapshot{Group: d.Uint32(), Index: d.Uvarint(), Term: d.Uvarint()}
		}
	}
	if n := d.Count(4); n > 0 {
		b.States = make([]HardState, n)
		for i := range b.States {
			b.States[i] = HardState{Group: d.Uint32(), Term: d.Uvarint(), Vote: d.Uvarint(), Commit: d.Uvarint()}
		}
	}
	if n := d.Count(5); n > 0 {
		b.Entries = make([]Entry, n)
		for i := range b.Entries {
			b.Entries[i] = Entry{Group: d.Uint32(), Index: d.Uvarint(), Term: d.Uvarint(), Type: d.Byte(), Data: d.Bytes()}
		}
	}
	if err := d.End(); err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	return b, nil
}
