package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Restore puts a complete staging in the place of the state: in one transaction
// that moves buckets and copies nothing. name and position are those of the
// snapshot; conf is the configuration that goes with it. It is durable when
// Restore returns; on an error the partition is unchanged. A repair may have put a
// newer state in place than Raft knows of: then a snapshot from before changes
// nothing, for what the state has is committed, too. Errors: ErrIncomplete, ErrFull;
// any other leaves the store dead.
func (p *Partition) Restore(name []byte, index, term uint64, conf []byte) error {
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
	if index < p.pos.index && !s.opt.Faults.OlderRestored {
		return nil // what was staged goes when the next snapshot is
	}
	err := s.update(func(tx *bbolt.Tx) error { return p.swap(tx, name, index, term, conf) })
	if errors.Is(err, ErrIncomplete) {
		return fmt.Errorf("restore partition %d: %w", p.id, err)
	}
	if err == nil {
		p.dropScrub()
		s.dirty.Add(-p.unflushed())
		err = s.view(p.load)
		p.failCuts(false)
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

// swap moves the old tables away and the staged ones in.
func (p *Partition) swap(tx *bbolt.Tx, name []byte, index, term uint64, conf []byte) error {
	from := tx.Bucket(stagingBucket(p.id))
	st := &Staging{p: p, name: name}
	switch {
	case from == nil || !st.load(from):
		return fmt.Errorf("%w: nothing of it is there", ErrIncomplete)
	case !st.done && !p.store.opt.Faults.SwapIncomplete:
		return fmt.Errorf("%w: %d frames of it are there", ErrIncomplete, st.next)
	case st.pos.index != index || st.pos.term != term:
		return fmt.Errorf("%w: it is at entry %d of term %d, not %d of term %d", ErrIncomplete, st.pos.index, st.pos.term, index, term)
	}
	if tx.Bucket(p.key) != nil {
		if err := discard(tx, p.key); err != nil {
			return err
		}
	}
	to, err := tx.CreateBucket(p.key)
	if err != nil {
		return err
	}
	if err := moveTables(tx, from, to); err != nil {
		return err
	}
	pos := st.pos
	pos.conf = conf
	if err := to.Put(positionKey, seal(positionKey, pos.append(make([]byte, 4)))); err != nil {
		return err
	}
	if st.ring.epoch > 0 {
		if err := to.Put(ringKey, seal(ringKey, st.ring.append(make([]byte, 4)))); err != nil {
			return err
		}
	}
	return tx.DeleteBucket(stagingBucket(p.id))
}

// moveTables moves all buckets inside one bucket into another.
func moveTables(tx *bbolt.Tx, from, to *bbolt.Bucket) error {
	var names [][]byte
	err := from.ForEachBucket(func(name []byte) error {
		names = append(names, bytes.Clone(name))
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := tx.MoveBucket(name, from, to); err != nil {
			return fmt.Errorf("move bucket %q: %w", name, err)
		}
	}
	return nil
}

// trashPrefix begins the names of buckets whose content is to be removed.
const trashPrefix = 't'

// discard takes a bucket with tables out of use. Sweep removes them later, bit by
// bit: to free a large one at once would hold up everything else.
func discard(tx *bbolt.Tx, key []byte) error {
	meta := tx.Bucket(metaBucket)
	n, err := meta.NextSequence()
	if err != nil {
		return err
	}
	trash, err := tx.CreateBucket(binary.BigEndian.AppendUint64([]byte{trashPrefix}, n))
	if err != nil {
		return err
	}
	if err := moveTables(tx, tx.Bucket(key), trash); err != nil {
		return err
	}
	return tx.DeleteBucket(key)
}
