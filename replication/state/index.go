package state

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
	"github.com/rosterdb/rosterdb/ring"
)

const (
	maxIndexes = 64   // of a cluster
	maxField   = 1024 // bytes of a field's name
	// maxValues is how many different values of an object an index holds; of more,
	// the first in the order of the index.
	maxValues = 256
	// maxEntries is how many bytes of entries an object has in an index, its name in each included; of more, the first in
	// the order of the index. So a put costs about what the flushes of as much of values cost, and one object in all indexes
	// makes and removes no more than a batch may.
	maxEntries = 16 << 10
)

// index is a secondary index as a partition has it.
type index struct {
	ring.Index
	field  []string
	ready  bool
	since  uint64 // the entry that made it ready: its changes are known behind it
	gone   bool   // its entries are being removed
	cursor string // key of the last object that was looked at, while it is built
}

// indexes are a partition's indexes, by number.
type indexes struct {
	generation uint64
	list       []*index
	working    bool // some are being built or removed
	dirty      bool // changed since the last rotation
	covering   []*index
}

// IndexState is an index and whether it can be queried.
type IndexState struct {
	ring.Index
	Ready bool
}

// Indexes are the indexes that the partition has, and the generation of the
// definitions that it was told last.
func (p *Partition) Indexes() (list []IndexState, generation uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, x := range p.indexes.list {
		if !x.gone {
			list = append(list, IndexState{x.Index, x.ready})
		}
	}
	return list, p.indexes.generation
}

// of lists the indexes over objects of a root, by its name.
func (x *indexes) of(root []byte) []*index {
	x.covering = x.covering[:0]
	for _, i := range x.list {
		if !i.gone && strings.HasPrefix(string(root), i.Prefix) {
			x.covering = append(x.covering, i)
		}
	}
	return x.covering
}

func (i *index) covers(path []byte) bool { return i.Path == "*" || i.Path == string(path) }

// entries are the values that the index has of an object, encoded and sorted. The object's key is that long.
func (i *index) entries(o *object, key int, faults *Faults) []string {
	if o.version == 0 || o.deleted {
		return nil
	}
	var list []string
	for _, s := range jsonField(o.value, i.field) {
		if s.Indexable() {
			list = append(list, string(appendScalar(nil, &s)))
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	list = list[:min(len(list), maxValues)]
	size := 0
	for at, s := range list {
		if size += indexIDLen + len(s) + key; size > maxEntries && !faults.EntriesUnbounded {
			return list[:at]
		}
	}
	return list
}

func (i *index) key(scalar string, object []byte) string {
	b := make([]byte, 0, indexIDLen+len(scalar)+len(object))
	b = append(binary.BigEndian.AppendUint32(b, i.ID), scalar...)
	return string(append(b, object...))
}

// reindex brings the indexes over a root up to date with a change of one of its
// objects, and tells where it is or was.
func (p *Partition) reindex(covering []*index, key []byte, old, o *object) []membership {
	if len(covering) == 0 {
		return nil
	}
	path := key[len(rootOf(key))+1:]
	p.members = p.members[:0]
	for _, i := range covering {
		if !i.covers(path) {
			continue
		}
		was, is := i.entries(old, len(key), &p.store.opt.Faults), i.entries(o, len(key), &p.store.opt.Faults)
		p.enter(i, key, was, is)
		if m := (membership{index: i.ID}); i.ready {
			if len(was) > 0 {
				m.flags |= wasIn
			}
			if len(is) > 0 {
				m.flags |= isIn
			}
			if m.flags != 0 {
				p.members = append(p.members, m)
			}
		}
	}
	return p.members
}

// enter removes the entries that were and adds those that are, and counts their bytes.
func (p *Partition) enter(i *index, key []byte, was, is []string) {
	differ(was, is, func(s string, there bool) {
		entry := i.key(s, key)
		p.indexed += len(entry)
		p.active.setIndex(entry, there)
	})
}

// differ tells what is in one of two sorted lists only.
func differ(was, is []string, f func(s string, there bool)) {
	for _, s := range was {
		if _, stays := slices.BinarySearch(is, s); !stays {
			f(s, false)
		}
	}
	for _, s := range is {
		if _, there := slices.BinarySearch(was, s); !there {
			f(s, true)
		}
	}
}

func (o *overlay) setIndex(entry string, there bool) {
	if o.index == nil {
		o.index = make(map[string]bool)
	}
	if _, known := o.index[entry]; !known {
		o.bytes += int64(len(entry)) + objectOverhead
	}
	o.index[entry] = there
}

// EncodeIndexes appends the command that tells a partition its indexes: those of
// the ring document of that epoch. An older or equal one changes nothing.
func EncodeIndexes(dst []byte, now int64, epoch uint64, list []ring.Index) []byte {
	dst = binary.AppendUvarint(appendHead(dst, kindIndexes, now), epoch)
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		dst = appendIndex(dst, &list[i])
	}
	return dst
}

func appendIndex(dst []byte, x *ring.Index) []byte {
	dst = binary.AppendUvarint(dst, uint64(x.ID))
	for _, s := range [...]string{x.Name, x.Prefix, x.Path, x.Field} {
		dst = binenc.AppendString(dst, s)
	}
	return dst
}

func readIndex(d *binenc.Reader) ring.Index {
	return ring.Index{
		ID: d.Uint32(), Name: string(d.Bytes()), Prefix: string(d.Bytes()), Path: string(d.Bytes()), Field: string(d.Bytes()),
	}
}

// append encodes the indexes and how far they are.
func (x *indexes) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, x.generation)
	dst = binary.AppendUvarint(dst, uint64(len(x.list)))
	for _, i := range x.list {
		flags := byte(0)
		if i.ready {
			flags |= 1
		}
		if i.gone {
			flags |= 2
		}
		dst = binary.AppendUvarint(append(appendIndex(dst, &i.Index), flags), i.since)
		dst = binenc.AppendString(dst, i.cursor)
	}
	return dst
}

func decodeIndexes(payload []byte) (indexes, error) {
	d := binenc.Reader{B: payload}
	x := indexes{generation: d.Uvarint()}
	for range d.Count(8) {
		i := &index{Index: readIndex(&d)}
		flags := d.Byte()
		i.ready, i.gone = flags&1 != 0, flags&2 != 0
		i.since, i.cursor = d.Uvarint(), string(d.Bytes())
		i.field = strings.Split(i.Field, ".")
		x.list = append(x.list, i)
		x.working = x.working || !i.ready
	}
	if err := d.End(); err != nil {
		return indexes{}, fmt.Errorf("indexes: %w", err)
	}
	return x, nil
}

func (p *Partition) loadIndexes(b *bbolt.Bucket) error {
	p.indexes = indexes{}
	table := b.Bucket(machineBucket)
	if table == nil || table.Get(indexesKey) == nil {
		return nil
	}
	payload, err := unseal(indexesKey, table.Get(indexesKey))
	if err != nil {
		return err
	}
	if p.indexes, err = decodeIndexes(payload); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// checkIndex says what is wrong with a definition.
func checkIndex(x *ring.Index) error {
	if err := op.CheckIndex(x.Name); err != nil {
		return err
	}
	if x.ID == 0 || x.Field == "" || len(x.Field) > maxField || len(x.Prefix) > op.MaxRoot || len(x.Path) > op.MaxPath {
		return fmt.Errorf("index %q has number %d, field %q, prefix %q, path %q: a number from 1 and a field are needed, none too long", x.Name, x.ID, x.Field, x.Prefix, x.Path)
	}
	return nil
}
