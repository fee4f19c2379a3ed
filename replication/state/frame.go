package state

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// A snapshot is a picture in frames. A frame is a checksum (4 bytes, little
// endian), a kind and content; the checksum goes on from that of the frame before,
// so that none can be missing or in another's place. Any frame up to the newest
// made can be made again, which is what lets a follower ask for a lost one, or go
// on after a crash.
const (
	snapshotFormat = 2
	defaultFrame   = 64 << 10
	frameHeader    = 5
)

const (
	frameHead    = iota + 1 // format, partition, position, ring document
	frameRecords            // table, then key and payload of each record, with their lengths
	frameEnd                // number of records
)

// frames is where a picture's frames begin.
type frames struct {
	size  int
	marks []mark // of frame 1 and on, as far as known
	last  int    // number of the last frame; 0: not known yet
	w     *walk  // stands at frame at
	at    int
}

// mark is what a frame begins with.
type mark struct {
	place
	sum   uint32 // of the frame before
	count uint64 // records before
}

func (f *frames) init(size int) {
	if size <= 0 {
		size = defaultFrame
	}
	f.size = size
}

// Frame makes frame n, also again; where it begins is known only when those before
// it have been made. last tells that the snapshot ends with it; behind that there
// is none, nil. Errors: ErrCorrupt.
func (v *Picture) Frame(n int) (frame []byte, last bool, err error) {
	err = v.store.guard(func() error {
		frame, last, err = v.frame(n)
		return err
	})
	return frame, last, err
}

func (v *Picture) frame(n int) (frame []byte, last bool, err error) {
	f := &v.frames
	defer v.pages.forget()
	if len(f.marks) == 0 {
		f.marks = append(f.marks, mark{sum: sealFrame(v.head(), 0)})
	}
	if n == 0 {
		frame = v.head()
		sealFrame(frame, 0)
		return frame, false, nil
	}
	for at := min(n, len(f.marks)); f.last == 0 || at <= f.last; at++ {
		if frame, err = v.make(at); err != nil || at == n {
			return frame, f.last == n, err
		}
	}
	return nil, true, nil
}

// head is the first frame, without its checksum.
func (v *Picture) head() []byte {
	head := binary.AppendUvarint([]byte{0, 0, 0, 0, frameHead}, snapshotFormat)
	head = binary.AppendUvarint(head, uint64(v.id))
	head = binenc.AppendBytes(head, v.pos.append(nil))
	return v.ring.append(head)
}

// make makes a frame whose mark is known, and the mark of the next.
func (v *Picture) make(n int) (frame []byte, err error) {
	f := &v.frames
	m := f.marks[n-1]
	if f.w == nil || f.at != n {
		if f.w, err = v.walkFrom(m.place); err != nil {
			return nil, v.broken(err)
		}
	}
	frame, next, err := v.records(m)
	if err != nil {
		return nil, v.broken(err)
	}
	f.at = n + 1
	if next.count == m.count {
		f.last = n
	} else if n == len(f.marks) {
		f.marks = append(f.marks, next)
	}
	return frame, nil
}

func (v *Picture) broken(err error) error {
	v.frames.w = nil
	return fmt.Errorf("snapshot of partition %d: %w", v.id, err)
}

// sealFrame fills in the checksum.
func sealFrame(frame []byte, before uint32) uint32 {
	sum := crc32.Update(before, castagnoli, frame[4:])
	binary.LittleEndian.PutUint32(frame, sum)
	return sum
}

// records makes a frame of records of one table, or the last frame.
func (v *Picture) records(m mark) (frame []byte, next mark, err error) {
	w := v.frames.w
	frame = append(make([]byte, 0, v.frames.size), 0, 0, 0, 0, frameRecords)
	next.count = m.count
	part := w.part
	for w.key != nil {
		size := len(w.key) + len(w.payload) + 2*binary.MaxVarintLen32
		if next.count > m.count && (w.part != part || len(frame)+size > v.frames.size) {
			break
		}
		if next.count == m.count {
			part = w.part
			frame = append(frame, v.parts[part].number)
		}
		frame = binenc.AppendBytes(binenc.AppendBytes(frame, w.key), w.payload)
		next.count++
		v.pages.add(w.payload) // read again since it was checked
		if err := w.next(); err != nil {
			return nil, next, err
		}
	}
	if next.count == m.count {
		frame[frameHeader-1] = frameEnd
		frame = binary.AppendUvarint(frame, m.count)
	}
	next.place = place{w.part, string(w.key)}
	next.sum = sealFrame(frame, m.sum)
	return frame, next, nil
}
