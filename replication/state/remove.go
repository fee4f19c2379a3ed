package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// Tomb is what stays of a partition whose replica was deleted: what the engine
// must not forget, or a new replica of the same member could break promises of
// the old one.
type Tomb struct {
	Index uint64 // position as of which the replica was no member; 0: there was none
	Term  uint64
	Vote  uint64
}

// tombPrefix and the partition's key make the key of its tomb, in the bucket "meta".
const tombPrefix = "tomb"

func tombKey(p *Partition) []byte { return append([]byte(tombPrefix), p.key...) }

// Remove deletes everything that is stored of the partition and leaves the tomb
// in its place; the partition is empty afterwards. It is durable when Remove
// returns, all of it or nothing; the room is given back by Sweep. Nothing may be
// applied to the partition meanwhile. Errors: ErrFull, which leaves all as it was; any other leaves the
// store dead.
func (p *Partition) Remove(t Tomb) error {
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
	err := s.update(func(tx *bbolt.Tx) error {
		for _, name := range [...][]byte{p.key, stagingBucket(p.id)} {
			if tx.Bucket(name) == nil {
				continue
			}
			if err := discard(tx, name); err != nil {
				return err
			}
		}
		rec := make([]byte, 4)
		for _, n := range [...]uint64{t.Index, t.Term, t.Vote} {
			rec = binary.AppendUvarint(rec, n)
		}
		key := tombKey(p)
		return tx.Bucket(metaBucket).Put(key, seal(key, rec))
	})
	if err == nil {
		s.dirty.Add(-p.unflushed())
		err = s.view(p.load)
		p.failCuts(true)
	}
	if err = diskError(err); err != nil && !errors.Is(err, ErrFull) {
		return s.fail(fmt.Errorf("%w: remove partition %d: %w", ErrFailed, p.id, err))
	}
	return err
}

func (p *Partition) loadTomb(tx *bbolt.Tx) error {
	p.tomb = Tomb{}
	key := tombKey(p)
	rec := tx.Bucket(metaBucket).Get(key)
	if rec == nil {
		return nil
	}
	var err error
	p.tomb, err = decodeTomb(key, rec)
	return err
}

// Tomb is what stayed of an earlier replica that was deleted; zero if there was
// none.
func (p *Partition) Tomb() Tomb {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.tomb
}

// Removed tells of the partitions that were deleted and are still empty.
func (s *Store) Removed() (map[uint32]Tomb, error) {
	tombs := make(map[uint32]Tomb)
	err := s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(metaBucket).Cursor()
		for k, rec := c.Seek([]byte(tombPrefix)); len(k) == len(tombPrefix)+5 && string(k[:len(tombPrefix)]) == tombPrefix; k, rec = c.Next() {
			key := k[len(tombPrefix):]
			if tx.Bucket(key) != nil {
				continue
			}
			t, err := decodeTomb(k, rec)
			if err != nil {
				return err
			}
			tombs[binary.BigEndian.Uint32(key[1:])] = t
		}
		return nil
	})
	return tombs, err
}

func decodeTomb(key, rec []byte) (Tomb, error) {
	payload, err := unseal(key, rec)
	if err != nil {
		return Tomb{}, err
	}
	d := binenc.Reader{B: payload}
	t := Tomb{Index: d.Uvarint(), Term: d.Uvarint(), Vote: d.Uvarint()}
	if err := d.End(); err != nil {
		return Tomb{}, fmt.Errorf("%w: tomb: %w", ErrCorrupt, err)
	}
	return t, nil
}
