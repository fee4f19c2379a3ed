package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Flush makes everything applied before the call durable, in one transaction.
// Safe concurrently with Apply and Read, which it holds up only while it takes
// the changes over. After ErrFull it can be repeated; after any other error the
// store is dead and every Flush returns that error.
func (s *Store) Flush() error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	defer s.endWriting()
	mark, parts := s.logNow(), s.rotate()
	if len(parts) == 0 && mark == s.marked {
		return nil
	}
	if err := s.update(func(tx *bbolt.Tx) error { return s.commit(tx, parts, mark) }); err != nil {
		err = diskError(fmt.Errorf("flush %s: %w", s.path, err))
		if errors.Is(err, ErrFull) || s.torn.Load() {
			return err
		}
		return s.fail(fmt.Errorf("%w: %w: restart the node once the disk is sound", ErrFailed, err))
	}
	s.marked = mark
	for _, p := range parts {
		p.flushed()
	}
	return nil
}

// diskError marks want of room.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: make room on the disk: %w", ErrFull, err)
	}
	return err
}

// rotate takes the changes of all partitions over, by partition id.
func (s *Store) rotate() []*Partition {
	all := s.beginWriting()
	all = slices.DeleteFunc(all, func(p *Partition) bool { return !p.rotate() })
	slices.SortFunc(all, func(a, b *Partition) int { return int(int64(a.id) - int64(b.id)) })
	return all
}

// rotate begins a new generation; it tells whether there is anything to flush.
func (p *Partition) rotate() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pos.index == p.durable && p.flushing == nil {
		return false
	}
	old := p.active
	old.position = p.pos
	old.sessions = p.sessions.rotate()
	old.history, old.blocks = p.history.rotate()
	if p.indexes.dirty {
		old.indexes, p.indexes.dirty = p.indexes.append(nil), false
	}
	if p.ringNew {
		old.ring, p.ringNew = &ringDoc{epoch: p.ring.epoch, doc: p.ring.doc}, false
	}
	if p.flushing == nil {
		p.flushing = old
	} else {
		p.flushing.merge(old)
	}
	p.active = newOverlay()
	return true
}

// rotate encodes the sessions that changed.
func (t *sessions) rotate() map[op.Session][]byte {
	if len(t.dirty) == 0 && len(t.dropped) == 0 {
		return nil
	}
	records := make(map[op.Session][]byte, len(t.dirty)+len(t.dropped))
	for _, s := range t.dirty {
		s.dirty = false
		records[s.id] = seal(sessionKey(s.id), s.append(make([]byte, 4)))
	}
	for _, id := range t.dropped {
		records[id] = nil
	}
	t.dirty, t.dropped = t.dirty[:0], t.dropped[:0]
	return records
}

func sessionKey(id op.Session) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

// flushed forgets the generation that is in bbolt now.
func (p *Partition) flushed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.durable = p.flushing.position.index
	if p.flushing.delayed && p.store.opt.Faults.AppliedOutsideTx {
		return
	}
	p.store.dirty.Add(-p.flushing.bytes)
	p.flushing = nil
	p.history.flushed()
}

// commit writes the generations. Nobody changes them, so it needs no lock.
func (s *Store) commit(tx *bbolt.Tx, parts []*Partition, mark uint64) error {
	if err := s.markLog(tx, mark); err != nil {
		return err
	}
	var w writer
	for _, p := range parts {
		b, err := tx.CreateBucketIfNotExists(p.key)
		if err != nil {
			return err
		}
		g := p.flushing
		if err := w.put(b, positionKey, g.position.append(w.record(64+len(g.position.conf)))); err != nil {
			return err
		}
		if s.opt.Faults.AppliedOutsideTx {
			if g.delayed = !g.delayed; g.delayed {
				continue
			}
		}
		if err := w.overlay(b, g); err != nil {
			return fmt.Errorf("partition %d: %w", p.id, err)
		}
	}
	if s.opt.failFlush != nil {
		return s.opt.failFlush()
	}
	return nil
}

// writer puts records into bbolt. bbolt keeps the slices until the commit, so
// records lie in chunks that are not used again.
type writer struct{ chunk []byte }

// record returns an empty record with room for size bytes of payload.
func (w *writer) record(size int) []byte {
	size += 4
	if cap(w.chunk)-len(w.chunk) < size {
		w.chunk = make([]byte, 0, max(size, 256<<10))
	}
	n := len(w.chunk)
	w.chunk = w.chunk[:n+size]
	return w.chunk[n : n+4 : n+size]
}

func (w *writer) put(b *bbolt.Bucket, key, rec []byte) error {
	return b.Put(key, seal(key, rec))
}

// overlay writes a generation in the order of its keys.
func (w *writer) overlay(b *bbolt.Bucket, g *overlay) error {
	if g.ring != nil {
		if err := w.put(b, ringKey, g.ring.append(w.record(16+len(g.ring.doc)))); err != nil {
			return err
		}
	}
	names := slices.Sorted(maps.Keys(g.roots))
	if err := w.objects(b, g, names); err != nil {
		return err
	}
	if err := w.keys(b, expiryBucket, g.expiry); err != nil {
		return err
	}
	if err := w.keys(b, indexBucket, g.index); err != nil {
		return err
	}
	if err := w.history(b, g); err != nil {
		return err
	}
	if err := w.machine(b, g); err != nil {
		return err
	}
	roots, err := b.CreateBucketIfNotExists(rootsBucket)
	if err != nil {
		return err
	}
	for _, root := range names {
		rec := binary.AppendUvarint(w.record(binary.MaxVarintLen64), g.roots[root].revision)
		if err := w.put(roots, []byte(root), rec); err != nil {
			return err
		}
	}
	table, err := b.CreateBucketIfNotExists(sessionsBucket)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(g.sessions)) {
		if rec := g.sessions[id]; rec == nil {
			err = table.Delete(sessionKey(id))
		} else {
			err = table.Put(sessionKey(id), rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// history writes the changed blocks of the history.
func (w *writer) history(b *bbolt.Bucket, g *overlay) error {
	if len(g.history) == 0 {
		return nil
	}
	table, err := b.CreateBucketIfNotExists(historyBucket)
	if err != nil {
		return err
	}
	for _, first := range slices.Sorted(maps.Keys(g.history)) {
		if data := g.history[first]; data == nil {
			err = table.Delete(blockKey(first))
		} else {
			err = w.put(table, blockKey(first), append(w.record(len(data)), data...))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// machine writes the lists of the history's blocks and of the indexes.
func (w *writer) machine(b *bbolt.Bucket, g *overlay) error {
	if g.blocks == nil && g.indexes == nil {
		return nil
	}
	table, err := b.CreateBucketIfNotExists(machineBucket)
	if err == nil && g.blocks != nil {
		err = w.put(table, historyKey, append(w.record(len(g.blocks)), g.blocks...))
	}
	if err == nil && g.indexes != nil {
		err = w.put(table, indexesKey, append(w.record(len(g.indexes)), g.indexes...))
	}
	return err
}

// keys writes and deletes records that are nothing but keys.
func (w *writer) keys(b *bbolt.Bucket, bucket []byte, changed map[string]bool) error {
	if len(changed) == 0 {
		return nil
	}
	table, err := b.CreateBucketIfNotExists(bucket)
	if err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(changed)) {
		key := []byte(k)
		if changed[k] {
			err = w.put(table, key, w.record(0))
		} else {
			err = table.Delete(key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// objects writes the objects of the roots named, which are in order: so are the keys.
func (w *writer) objects(b *bbolt.Bucket, g *overlay, names []string) error {
	objects, err := b.CreateBucketIfNotExists(objectsBucket)
	if err != nil {
		return err
	}
	var list []*changed
	for _, name := range names {
		list = g.roots[name].sorted(list[:0])
		for _, c := range list {
			o, key := &c.object, []byte(c.key)
			if o.deleted {
				err = objects.Delete(key)
			} else {
				err = w.put(objects, key, appendObject(w.record(36+len(o.refs)+len(o.value)), o))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// sorted lists the objects by key in buf. They stay where they are: readers look at them.
func (r *rootChange) sorted(buf []*changed) []*changed {
	for i := range r.objects {
		buf = append(buf, &r.objects[i])
	}
	slices.SortFunc(buf, func(a, b *changed) int { return strings.Compare(a.key, b.key) })
	return buf
}
