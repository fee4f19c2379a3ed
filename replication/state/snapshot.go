package state

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// A snapshot is a magic number, a format version and frames. A frame is its
// length and checksum (4 bytes each, little endian), a kind and content. Each
// checksum goes on from that of the frame before, so that none can be missing
// or in another's place. Objects, roots and sessions are spread over as many
// frames as they need, about frameSize bytes each.
const (
	snapshotFormat = 1
	frameSize      = 64 << 10
	frameHeader    = 9
)

var snapshotMagic = [8]byte{'R', 'D', 'B', 'S', 'N', 'A', 'P', '\n'}

const (
	frameHead     = iota + 1 // partition, position
	frameRing                // epoch and document
	frameSessions            // id (8 bytes) and session, each with its length
	frameRoots               // name and revision
	frameObjects             // key and object, each with its length
	frameEnd                 // number of sessions, roots and objects
)

// Snapshot encodes the whole state at the applied position, dedupe table
// included. Apply goes on meanwhile.
func (p *Partition) Snapshot() (index, term uint64, conf, data []byte, err error) {
	v, err := p.picture()
	if err != nil {
		return 0, 0, nil, nil, err
	}
	defer v.close()
	w := newSnapshotWriter()
	w.frame(frameHead, v.pos.append(binary.AppendUvarint(nil, uint64(p.id))))
	w.frame(frameRing, v.ring.append(nil))
	var counts [3]uint64
	if !p.store.opt.Faults.SnapshotNoSessions {
		for _, s := range v.sessions {
			w.item(frameSessions, binenc.AppendBytes(w.scratch(), s))
			counts[0]++
		}
	}
	err = v.eachRoot(func(root []byte, revision uint64) {
		w.item(frameRoots, binary.AppendUvarint(binenc.AppendBytes(w.scratch(), root), revision))
		counts[1]++
	})
	if err == nil {
		err = v.eachObject(func(key []byte, o *object) {
			w.object(key, o)
			counts[2]++
		})
	}
	if err != nil {
		return 0, 0, nil, nil, fmt.Errorf("snapshot of partition %d: %w", p.id, err)
	}
	w.end()
	var end []byte
	for _, n := range counts {
		end = binary.AppendUvarint(end, n)
	}
	w.frame(frameEnd, end)
	return v.pos.index, v.pos.term, v.pos.conf, w.out, nil
}

// snapshotWriter builds frames.
type snapshotWriter struct {
	out  []byte
	open int    // offset of the frame being filled; 0: none
	sum  uint32 // of the frame before
	tmp  []byte
}

func newSnapshotWriter() *snapshotWriter {
	out := append([]byte(nil), snapshotMagic[:]...)
	return &snapshotWriter{out: binary.LittleEndian.AppendUint32(out, snapshotFormat)}
}

func (w *snapshotWriter) scratch() []byte { return w.tmp[:0] }

// frame appends a frame of its own.
func (w *snapshotWriter) frame(kind byte, content []byte) {
	w.end()
	w.begin(kind)
	w.out = append(w.out, content...)
	w.end()
}

func (w *snapshotWriter) begin(kind byte) {
	w.open = len(w.out)
	w.out = append(w.out, 0, 0, 0, 0, 0, 0, 0, 0, kind)
}

func (w *snapshotWriter) end() {
	if w.open == 0 {
		return
	}
	f := w.out[w.open:]
	binary.LittleEndian.PutUint32(f, uint32(len(f)))
	w.sum = crc32.Update(w.sum, castagnoli, f[8:])
	binary.LittleEndian.PutUint32(f[4:], w.sum)
	w.open = 0
}

// item appends to the open frame, or to a new one where kind or size demand it.
func (w *snapshotWriter) item(kind byte, item []byte) {
	w.tmp = item
	w.room(kind, len(item))
	w.out = append(w.out, item...)
}

func (w *snapshotWriter) room(kind byte, size int) {
	if w.open != 0 && (w.out[w.open+8] != kind || len(w.out)-w.open+size > frameSize) {
		w.end()
	}
	if w.open == 0 {
		w.begin(kind)
	}
}

func (w *snapshotWriter) object(key []byte, o *object) {
	w.tmp = appendObject(w.tmp[:0], o)
	w.room(frameObjects, len(key)+len(w.tmp))
	w.out = binenc.AppendBytes(binenc.AppendBytes(w.out, key), w.tmp)
}
