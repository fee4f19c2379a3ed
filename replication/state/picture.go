package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// Picture is the whole state of a partition at one applied position. It is taken
// in the time it takes to list the unflushed changes; what bbolt holds is read
// bit by bit later, from a transaction begun at that moment. While it is open,
// bbolt cannot use pages again that have been replaced since, so the file grows
// by what is written meanwhile: close it soon. One caller at a time.
type Picture struct {
	store *Store
	id    uint32
	pos   position
	ring  ringDoc
	parts []pictured
	tx    *bbolt.Tx
	pages pageRange

	frames frames
}

// pictured is a table in a picture.
type pictured struct {
	table
	over []change // by key
	b    *bbolt.Bucket
}

// Picture takes a picture. size is about how long its frames become, in bytes;
// 0: 64 KiB. Errors: ErrClosed, ErrCorrupt.
func (p *Partition) Picture(size int) (*Picture, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.picture(size)
}

// picture is Picture with the lock held.
func (p *Partition) picture(size int) (*Picture, error) {
	tx, err := p.store.begin()
	if err != nil {
		return nil, err
	}
	v := &Picture{store: p.store, id: p.id, pos: p.pos, ring: p.ring, tx: tx}
	v.frames.init(size)
	v.pages.init(tx)
	err = p.store.guard(func() error {
		p.pictureOf(v, tx.Bucket(p.key))
		return nil
	})
	if err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// pictureOf lists the tables of a picture.
func (p *Partition) pictureOf(v *Picture, b *bbolt.Bucket) {
	for _, t := range tables() {
		part := pictured{table: t}
		var whole bool
		part.over, whole = p.unflushedOf(t.number)
		slices.SortStableFunc(part.over, func(a, b change) int { return strings.Compare(a.key, b.key) })
		part.over = slices.CompactFunc(part.over, func(a, b change) bool { return a.key == b.key })
		if b != nil && !whole {
			part.b = b.Bucket(t.bucket)
		}
		if p.store.opt.Faults.SnapshotNoSessions && t.number == tableSessions {
			part.over = nil
		}
		if p.store.opt.Faults.SnapshotNoHistory && (t.number == tableHistory || t.number == tableMachine) {
			part.over, part.b = nil, nil
		}
		v.parts = append(v.parts, part)
	}
}

// Position is where the picture stands, with the configuration in force there.
func (v *Picture) Position() (index, term uint64, conf []byte) {
	return v.pos.index, v.pos.term, v.pos.conf
}

// Close gives the transaction back. It may be called again.
func (v *Picture) Close() {
	v.pages.forget()
	_ = v.tx.Rollback() // it fails only if closed already
}

// place is a record's place in a picture: the table, by order, and its key.
type place struct {
	part int
	key  string
}

// walk goes through the records of a picture in order. It stands at one; key is
// nil behind the last.
type walk struct {
	v       *Picture
	part    int
	key     []byte
	payload []byte // valid until next

	over   []change
	c      *bbolt.Cursor
	stored []byte // key next in bbolt; nil: none
	rec    []byte
	tmp    []byte
}

// walkFrom begins at the first record at or behind a place.
func (v *Picture) walkFrom(at place) (*walk, error) {
	w := &walk{v: v, part: at.part}
	w.enter(at.key)
	return w, w.next()
}

// enter begins the table at a key.
func (w *walk) enter(from string) {
	w.over, w.c, w.stored, w.rec = nil, nil, nil, nil
	if w.part == len(w.v.parts) {
		return
	}
	t := &w.v.parts[w.part]
	i, _ := slices.BinarySearchFunc(t.over, from, func(c change, key string) int { return strings.Compare(c.key, key) })
	w.over = t.over[i:]
	if t.b != nil {
		w.c = t.b.Cursor()
		w.stored, w.rec = w.c.Seek([]byte(from))
	}
}

// next goes to the next record.
func (w *walk) next() (err error) {
	w.key, w.payload = nil, nil
	for w.part < len(w.v.parts) {
		switch {
		case len(w.over) > 0 && (w.stored == nil || w.over[0].key <= string(w.stored)):
			c := &w.over[0]
			w.over = w.over[1:]
			if w.stored != nil && c.key == string(w.stored) {
				w.stored, w.rec = w.c.Next()
			}
			if c.gone {
				continue
			}
			w.tmp = c.appendPayload(w.tmp[:0])
			w.key, w.payload = []byte(c.key), w.tmp
			return nil
		case w.stored != nil:
			w.v.pages.add(w.rec)
			if w.payload, err = unseal(w.stored, w.rec); err != nil {
				return err
			}
			w.key = w.stored
			w.stored, w.rec = w.c.Next()
			return nil
		}
		w.part++
		w.enter("")
	}
	return nil
}

// Digest is a hash over the logical content, equal on replicas at the same
// applied position. It reads everything and checks every record on the way; after
// each piece it calls pause with its length in bytes, whose error ends it. Errors:
// ErrCorrupt.
func (v *Picture) Digest(pause func(bytes int) error) (sum uint64, err error) {
	err = v.store.guard(func() error {
		sum, err = v.digest(pause)
		return err
	})
	return sum, err
}

func (v *Picture) digest(pause func(bytes int) error) (uint64, error) {
	h := xxhash.New()
	var buf []byte
	read := 0
	// Lengths keep neighbours apart. A hash never fails to take bytes.
	add := func(part []byte) {
		buf = binenc.AppendBytes(buf[:0], part)
		_, _ = h.Write(buf)
		read += len(buf)
	}
	head := v.pos
	head.conf = nil // bytes of another encoder may differ
	add(head.append(nil))
	add(v.ring.append(nil))
	w, err := v.walkFrom(place{})
	for ; err == nil && w.key != nil; err = w.next() {
		_, _ = h.Write([]byte{v.parts[w.part].number})
		add(w.key)
		add(w.payload)
		v.pages.add(w.payload)
		if read < defaultFrame {
			continue
		}
		v.pages.forget()
		if err := pause(read); err != nil {
			return 0, err
		}
		read = 0
	}
	if err != nil {
		return 0, fmt.Errorf("digest of partition %d: %w", v.id, err)
	}
	return h.Sum64(), nil
}

// Digest is the digest of the present state: for tests and the simulator. 0
// means that it could not be read.
func (p *Partition) Digest() uint64 {
	v, err := p.Picture(0)
	if err != nil {
		return 0
	}
	defer v.Close()
	sum, err := v.Digest(func(int) error { return nil })
	if err != nil {
		return 0
	}
	return sum
}
