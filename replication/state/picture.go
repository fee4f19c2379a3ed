package state

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// picture is the whole state of a partition at one applied position. It is
// taken under the lock in the time it takes to list the unflushed changes;
// what bbolt holds is read later, from a transaction begun at that moment.
type picture struct {
	pos      position
	ring     ringDoc
	sessions [][]byte // id, then the encoded session, by id
	roots    map[string]uint64
	objects  []changed
	tx       *bbolt.Tx
	b        *bbolt.Bucket // nil: bbolt has nothing of the partition
}

func (p *Partition) picture() (*picture, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	tx, err := p.store.db.Begin(false)
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	v := &picture{pos: p.pos, ring: p.ring, roots: make(map[string]uint64), tx: tx, b: tx.Bucket(p.key)}
	for _, gen := range []*overlay{p.active, p.flushing} {
		if gen == nil {
			continue
		}
		for root, change := range gen.roots {
			if _, newer := v.roots[root]; !newer {
				v.roots[root] = change.revision
			}
		}
		for key, o := range gen.objects {
			v.objects = append(v.objects, changed{key, o})
		}
	}
	for _, s := range p.sessions.sorted() {
		v.sessions = append(v.sessions, s.append(sessionKey(s.id)))
	}
	return v, nil
}

func (v *picture) close() { _ = v.tx.Rollback() } // it fails only if closed already

// eachObject visits all objects by key.
func (v *picture) eachObject(visit func(key []byte, o *object)) error {
	var b *bbolt.Bucket
	if v.b != nil {
		b = v.b.Bucket(objectsBucket)
	}
	return merge(b, newest(v.objects), nil, nil, func(key []byte, o *object) bool {
		visit(key, o)
		return true
	})
}

// eachRoot visits the revisions of all roots by name.
func (v *picture) eachRoot(visit func(root []byte, revision uint64)) error {
	over := slices.Sorted(maps.Keys(v.roots))
	if v.b != nil && v.b.Bucket(rootsBucket) != nil {
		b := v.b.Bucket(rootsBucket)
		err := b.ForEach(func(root, _ []byte) error {
			for len(over) > 0 && over[0] < string(root) {
				visit([]byte(over[0]), v.roots[over[0]])
				over = over[1:]
			}
			if len(over) > 0 && over[0] == string(root) {
				return nil // visited in the next round
			}
			revision, err := storedRevision(b, root)
			if err == nil {
				visit(root, revision)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, root := range over {
		visit([]byte(root), v.roots[root])
	}
	return nil
}

// Digest is a hash over the logical content, equal on replicas at the same
// applied position. It reads everything: for tests and the simulator. 0 means
// that it could not be read.
func (p *Partition) Digest() uint64 {
	v, err := p.picture()
	if err != nil {
		return 0
	}
	defer v.close()
	h := xxhash.New()
	var buf []byte
	// Lengths keep neighbours apart. A hash never fails to take bytes.
	add := func(part []byte) {
		buf = binenc.AppendBytes(buf[:0], part)
		_, _ = h.Write(buf)
	}
	number := func(n uint64) { _, _ = h.Write(binary.LittleEndian.AppendUint64(nil, n)) }
	number(v.pos.index)
	number(v.pos.term)
	number(uint64(v.pos.logTime))
	add(v.ring.append(nil))
	for _, s := range v.sessions {
		add(s)
	}
	var rec []byte
	err = v.eachObject(func(key []byte, o *object) {
		add(key)
		rec = appendObject(rec[:0], o)
		add(rec)
	})
	if err == nil {
		err = v.eachRoot(func(root []byte, revision uint64) {
			add(root)
			number(revision)
		})
	}
	if err != nil {
		return 0
	}
	return h.Sum64()
}
