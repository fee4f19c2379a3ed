package state

import (
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// history is what happened last in a partition, for reads of changes. It is part
// of the state: a record for each batch and each removal, in blocks that end at
// the same entries on all replicas. Of the newest blocks the records are in
// memory, of the others in bbolt only.
type history struct {
	begun   bool   // by the first command of format 2
	floor   uint64 // everything behind this entry is there
	blocks  []*block
	tail    *block // the last of blocks
	records int
	bytes   int
	dirty   bool     // changed since the last rotation
	dropped []uint64 // blocks, since then
	rec     []byte   // the record being made, and room for the next
}

// block is some records. Only the last one grows; its bytes never change.
type block struct {
	first, last uint64 // entries
	records     int
	size        int
	data        []byte // nil: in bbolt only
	dirty       bool
}

// A record is its length; its entry less the first of the block; the root, its
// revision, and events: kind, path, and with inIndex what indexes it is about.
const inIndex = 0x80

// What an event says about an index.
const (
	wasIn = 1 << iota
	isIn
)

// membership is an event's place in an index.
type membership struct {
	index uint32
	flags byte
}

// blocksInMemory is how many of the newest blocks stay in memory when they are in
// bbolt: most readers of changes are close behind.
const blocksInMemory = 4

// start begins the history in front of an entry, or at the very beginning if nothing
// happened there. A partition of an earlier format
// has none until a command of this one comes, at the same entry on all replicas.
func (h *history) start(entry uint64, untouched bool) {
	if h.begun {
		return
	}
	h.begun, h.dirty = true, true
	if !untouched {
		h.floor = entry - 1
	}
}

// untouched tells that no command was ever executed: each has a time. Entries of
// elections and of configurations there may have been.
func (p *Partition) untouched() bool { return p.pos.logTime == 0 }

// begin opens the record of a change.
func (h *history) begin(root []byte, revision uint64) {
	h.rec = binenc.AppendBytes(h.rec[:0], root)
	h.rec = binary.AppendUvarint(h.rec, revision)
}

// event adds to the open record.
func (h *history) event(kind op.EventKind, path []byte, in []membership) {
	k := byte(kind)
	if len(in) > 0 {
		k |= inIndex
	}
	h.rec = binenc.AppendBytes(append(h.rec, k), path)
	if len(in) == 0 {
		return
	}
	h.rec = binary.AppendUvarint(h.rec, uint64(len(in)))
	for _, m := range in {
		h.rec = append(binary.AppendUvarint(h.rec, uint64(m.index)), m.flags)
	}
}

// end puts the open record behind the others, and returns its length.
func (h *history) end(entry uint64, opt *Options) int {
	b := h.open(entry, opt)
	before := len(b.data)
	var head [binary.MaxVarintLen64]byte
	delta := binary.PutUvarint(head[:], entry-b.first)
	b.data = binary.AppendUvarint(b.data, uint64(delta+len(h.rec)))
	b.data = append(append(b.data, head[:delta]...), h.rec...)
	n := len(b.data) - before
	b.last, b.dirty, h.dirty = entry, true, true
	b.records++
	b.size += n
	h.records++
	h.bytes += n
	h.trim(opt)
	return n
}

// open is the block that the next record goes to. A block ends with an entry.
func (h *history) open(entry uint64, opt *Options) *block {
	room := 256
	if b := h.tail; b != nil {
		full := b.records >= max(1, opt.HistoryEntries/64) || b.size >= max(1, opt.HistoryBytes/256)
		if !full || b.last == entry {
			return b
		}
		room = b.size + b.size/8 // the next one is about as large
	}
	b := &block{first: entry, data: make([]byte, 0, room)}
	h.blocks, h.tail = append(h.blocks, b), b
	return b
}

// trim drops the oldest blocks while there is enough without them.
func (h *history) trim(opt *Options) {
	for len(h.blocks) > 1 {
		b := h.blocks[0]
		if h.records-b.records < opt.HistoryEntries && h.bytes-b.size < opt.HistoryBytes {
			return
		}
		h.records -= b.records
		h.bytes -= b.size
		h.floor = b.last
		h.dropped = append(h.dropped, b.first)
		h.blocks[0] = nil
		h.blocks = h.blocks[1:]
	}
}

func blockKey(first uint64) []byte { return binary.BigEndian.AppendUint64(nil, first) }

// rotate hands over the blocks that changed (nil: dropped) and the list of all.
func (h *history) rotate() (changed map[uint64][]byte, list []byte) {
	if !h.dirty {
		return nil, nil
	}
	changed = make(map[uint64][]byte)
	for _, first := range h.dropped {
		changed[first] = nil
	}
	for _, b := range h.blocks {
		if b.dirty {
			changed[b.first] = b.data[:len(b.data):len(b.data)]
			b.dirty = false
		}
	}
	h.dropped, h.dirty = h.dropped[:0], false
	return changed, h.append(nil)
}

// flushed gives back the memory of blocks that are in bbolt now.
func (h *history) flushed() {
	for _, b := range h.blocks[:max(0, len(h.blocks)-blocksInMemory)] {
		if !b.dirty {
			b.data = nil
		}
	}
}

// append encodes the list of blocks.
func (h *history) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, h.floor)
	dst = binary.AppendUvarint(dst, uint64(len(h.blocks)))
	before := h.floor
	for _, b := range h.blocks {
		for _, n := range [...]uint64{b.first - before, b.last - b.first, uint64(b.records), uint64(b.size)} {
			dst = binary.AppendUvarint(dst, n)
		}
		before = b.last
	}
	return dst
}

func decodeHistory(payload []byte) (history, error) {
	d := binenc.Reader{B: payload}
	h := history{begun: true, floor: d.Uvarint()}
	before := h.floor
	for range d.Count(4) {
		b := &block{first: before + d.Uvarint()}
		b.last = b.first + d.Uvarint()
		b.records, b.size = int(d.Uint32()), int(d.Uint32())
		h.blocks, h.tail = append(h.blocks, b), b
		h.records += b.records
		h.bytes += b.size
		before = b.last
	}
	if err := d.End(); err != nil {
		return history{}, fmt.Errorf("history: %w", err)
	}
	return h, nil
}

// loadHistory reads the list of blocks, and the last one, which may grow.
func (p *Partition) loadHistory(b *bbolt.Bucket) error {
	p.history = history{}
	table := b.Bucket(machineBucket)
	if table == nil {
		return nil
	}
	rec := table.Get(historyKey)
	if rec == nil {
		return nil
	}
	payload, err := unseal(historyKey, rec)
	if err != nil {
		return err
	}
	if p.history, err = decodeHistory(payload); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if n := len(p.history.blocks); n > 0 {
		last := p.history.blocks[n-1]
		data, err := storedBlock(b.Bucket(historyBucket), last)
		if err != nil {
			return err
		}
		last.data = slices.Clone(data)
	}
	return nil
}

// storedBlock reads a block's records, which alias bbolt's memory.
func storedBlock(table *bbolt.Bucket, b *block) ([]byte, error) {
	key := blockKey(b.first)
	if table == nil {
		return nil, fmt.Errorf("%w: the history is missing", ErrCorrupt)
	}
	payload, err := unseal(key, table.Get(key))
	if err == nil && len(payload) < b.size {
		err = fmt.Errorf("%w: block %d of the history is cut short", ErrCorrupt, b.first)
	}
	return payload, err
}

func validBlock(key, payload []byte) error {
	if len(key) != 8 {
		return fmt.Errorf("key of a history with %d bytes", len(key))
	}
	for d := (binenc.Reader{B: payload}); len(d.B) > 0; {
		if _, ok := nextRecord(&d, 0); !ok {
			return binenc.ErrMalformed
		}
	}
	return nil
}
