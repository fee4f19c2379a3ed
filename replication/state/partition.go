package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// Partition is the state machine of one partition. Apply, SetConf and Restore:
// one caller at a time. Everything else is safe for concurrent use.
type Partition struct {
	store *Store
	id    uint32
	key   []byte // bucket

	reading sync.Mutex // guards read; taken before mu
	read    lookup     // of readers

	waits    ownerWaits
	mu       sync.RWMutex // guards what follows
	pos      position
	tomb     Tomb // of an earlier replica
	ring     ringDoc
	sessions sessions
	active   *overlay
	flushing *overlay // nil: nothing is being flushed
	ringNew  bool     // the ring changed since the last rotation
	durable  uint64
	stored   lookup   // of Apply
	damaged  error    // what is stored is not what it should be
	scrub    *Picture // of the last scrub applied
	cuts     []cut
	*scratch // in Apply only

	history history
	indexes indexes

	indexed    int    // bytes of index entries that the entry being applied has made and removed
	expiring   bool   // there may be objects that expire
	backlog    bool   // the entry being applied has left expired objects
	nextExpiry int64  // at or below the first time of expiry; never
	expired    []byte // where the entries of the expiry bucket begin that were not passed
}

// load reads positions and sessions from bbolt.
func (p *Partition) load(tx *bbolt.Tx) error {
	p.pos, p.ring, p.durable, p.damaged = position{}, ringDoc{}, 0, nil
	p.sessions = newSessions()
	p.waits.forget()
	p.active, p.flushing, p.ringNew = newOverlay(), nil, false
	p.expiring, p.nextExpiry, p.expired = false, never, nil
	p.history, p.indexes = history{}, indexes{}
	if err := p.loadTomb(tx); err != nil {
		return err
	}
	b := tx.Bucket(p.key)
	if b == nil {
		return nil
	}
	if err := p.loadPosition(b); err != nil {
		return err
	}
	if why := b.Get(condemnedKey); why != nil {
		p.damaged = fmt.Errorf("%w: %s", ErrCorrupt, why)
		return nil
	}
	err := p.loadHistory(b)
	if err == nil {
		err = p.loadIndexes(b)
	}
	if errors.Is(err, ErrCorrupt) {
		p.damaged = err // the position is sound: another replica has the rest
		return nil
	}
	if err != nil {
		return err
	}
	p.nextExpiry = firstExpiry(b.Bucket(expiryBucket))
	p.expiring = p.nextExpiry != never
	table := b.Bucket(sessionsBucket)
	if table == nil {
		return nil
	}
	err = table.ForEach(func(key, rec []byte) error {
		if len(key) != 8 {
			return fmt.Errorf("%w: session key %q", ErrCorrupt, key)
		}
		payload, err := unseal(key, rec)
		if err != nil {
			return err
		}
		s, err := decodeSession(op.Session(binary.BigEndian.Uint64(key)), payload)
		if err != nil {
			return err
		}
		p.sessions.add(s)
		return nil
	})
	if errors.Is(err, ErrCorrupt) {
		p.damaged = err
		return nil
	}
	return err
}

func (p *Partition) loadPosition(b *bbolt.Bucket) error {
	payload, err := unseal(positionKey, b.Get(positionKey))
	if err != nil {
		return err
	}
	if p.pos, err = decodePosition(payload); err != nil {
		return err
	}
	p.durable = p.pos.index
	rec := b.Get(ringKey)
	if rec == nil {
		return nil
	}
	if payload, err = unseal(ringKey, rec); err != nil {
		return err
	}
	d := binenc.Reader{B: payload}
	p.ring = ringDoc{epoch: d.Uvarint(), doc: slices.Clone(d.B)}
	if d.Bad {
		return fmt.Errorf("%w: ring document: %w", ErrCorrupt, binenc.ErrMalformed)
	}
	return nil
}

func (pos *position) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, pos.index)
	dst = binary.AppendUvarint(dst, pos.term)
	dst = binary.AppendUvarint(dst, uint64(pos.logTime))
	return binenc.AppendBytes(dst, pos.conf)
}

func decodePosition(p []byte) (position, error) {
	d := binenc.Reader{B: p}
	pos := position{index: d.Uvarint(), term: d.Uvarint(), logTime: int64(d.Uvarint()), conf: slices.Clone(d.Bytes())}
	if err := d.End(); err != nil {
		return position{}, fmt.Errorf("%w: position: %w", ErrCorrupt, err)
	}
	return pos, nil
}

func (r *ringDoc) append(dst []byte) []byte {
	return append(binary.AppendUvarint(dst, r.epoch), r.doc...)
}

// ID is the partition's number.
func (p *Partition) ID() uint32 { return p.id }

// Applied is the position of the newest applied entry.
func (p *Partition) Applied() (index, term uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.pos.index, p.pos.term
}

// Durable is the index up to which the state is on disk, or nothing is needed
// because it is of a replica that was deleted.
func (p *Partition) Durable() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return max(p.durable, p.tomb.Index)
}

// Conf is the opaque Raft ConfState in force at the applied position. It must
// not be changed.
func (p *Partition) Conf() []byte {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.pos.conf
}

// SetConf applies a configuration entry. conf is kept.
func (p *Partition) SetConf(index, term uint64, conf []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if index > p.pos.index && p.damaged == nil {
		p.pos.index, p.pos.term, p.pos.conf = index, term, conf
	}
}

// LogTime is the highest time that an applied command carried, in milliseconds
// since 1970.
func (p *Partition) LogTime() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.pos.logTime
}

// SessionOwner is the bare JID that opened the session.
func (p *Partition) SessionOwner(id op.Session) (bareJID string, ok bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s := p.sessions.byID[id]
	if s == nil {
		return "", false
	}
	return s.owner, true
}

// Ring is the ring document and its epoch; 0 where there is none. It must not
// be changed.
func (p *Partition) Ring() (doc []byte, epoch uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.ring.doc, p.ring.epoch
}
