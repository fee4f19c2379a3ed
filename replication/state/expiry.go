package state

import (
	"encoding/binary"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// expirePerEntry is how many objects one entry removes at most, so that an entry
// takes no longer because many objects share a time: as many as the largest batch
// changes, so no batches make objects faster than entries remove them. Objects that
// wait for their removal are absent already. Where they have many entries in indexes it is fewer.
const expirePerEntry = op.MaxMutations

// expirePerOldEntry is that of commands of format 1 and 2.
const expirePerOldEntry = 64

// timeLen is the length of the time in front of an entry of the expiry bucket.
const timeLen = 8

// never is the time of expiry where there is none.
const never = math.MaxInt64

func appendExpiryKey(dst []byte, at int64, key []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(at)), key...)
}

func expiryTime(entry []byte) int64 { return int64(binary.BigEndian.Uint64(entry)) }

// now is the time by which objects expire: log time.
func (p *Partition) now() int64 {
	if p.store.opt.Faults.ExpiryByLocalClock {
		return time.Now().UnixMilli()
	}
	return p.pos.logTime
}

// NextExpiry is the time, in milliseconds since 1970, at which a leader that
// proposes nothing else should propose a tick ([EncodeTick]), because an object
// expires then or work is waiting for an entry; 0 where there is nothing to do. It
// may be too early, never too late.
func (p *Partition) NextExpiry() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.indexes.working {
		return max(1, p.pos.logTime)
	}
	if p.nextExpiry == never {
		return 0
	}
	return p.nextExpiry
}

// setExpiry enters or removes an entry of the expiry bucket.
func (o *overlay) setExpiry(at int64, key []byte, there bool) {
	if o.expiry == nil {
		o.expiry = make(map[string]bool)
	}
	entry := string(appendExpiryKey(make([]byte, 0, timeLen+len(key)), at, key))
	if _, known := o.expiry[entry]; !known {
		o.bytes += int64(len(entry)) + objectOverhead
	}
	o.expiry[entry] = there
	if there {
		o.soonest.push(entry)
	}
}

// expire removes the objects whose time has come, the oldest first. p.backlog says
// whether some were left, which all replicas find alike.
func (p *Partition) expire(index uint64) error {
	p.backlog = false
	most := p.store.opt.expirePerEntry
	if p.cmd.version < countsAll {
		most = expirePerOldEntry
	}
	if p.nextExpiry > p.now() {
		return nil
	}
	for removed := 0; ; {
		entry, err := p.soonest()
		if err != nil {
			return err
		}
		if entry == nil {
			p.nextExpiry = never
			return nil
		}
		at := expiryTime(entry)
		if at > p.now() {
			p.nextExpiry = at
			return nil
		}
		// What was replaced or deleted meanwhile is not counted: its entry is seen
		// here by some replicas, and was forgotten by those that have flushed.
		o, err := p.expiredAt(entry[timeLen:])
		if err != nil {
			return err
		}
		if o.expires == at && (removed == most || p.indexed > op.MaxIndexed) {
			p.nextExpiry, p.backlog = at, true
			return nil
		}
		if o.expires == at {
			if err := p.expireOne(index, entry[timeLen:], &o); err != nil {
				return err
			}
			removed++
		}
		p.passed(entry)
	}
}

// soonest is the first entry of the expiry bucket that was not passed, or nil. It
// may be one that is gone.
func (p *Partition) soonest() ([]byte, error) {
	var first []byte
	for _, gen := range []*overlay{p.active, p.flushing} {
		if gen != nil && len(gen.soonest) > 0 && (first == nil || gen.soonest[0] < string(first)) {
			first = []byte(gen.soonest[0])
		}
	}
	if err := p.stored.begin(); err != nil {
		return nil, err
	}
	if b := p.stored.expiry; b != nil {
		if entry, _ := b.Cursor().Seek(p.expired); entry != nil && (first == nil || string(entry) < string(first)) {
			first = append(first[:0], entry...)
		}
	}
	return first, nil
}

// passed makes soonest look behind an entry. Nothing is ever entered before it:
// it is of the past.
func (p *Partition) passed(entry []byte) {
	for _, gen := range []*overlay{p.active, p.flushing} {
		for gen != nil && len(gen.soonest) > 0 && gen.soonest[0] <= string(entry) {
			gen.soonest.pop()
		}
	}
	p.expired = append(append(p.expired[:0], entry...), 0)
}

// expiredAt is the object that an entry of the expiry bucket is about. If it expires
// at another time, or never, the entry is of the past.
func (p *Partition) expiredAt(key []byte) (object, error) {
	p.stored.empty = false
	return p.stored.at(key)
}

// expireOne removes an object.
func (p *Partition) expireOne(index uint64, key []byte, o *object) error {
	root := rootOf(key)
	revision, err := p.stored.revision(root)
	if err != nil {
		return err
	}
	change := p.active.setRevision(root, revision+1)
	p.history.begin(root, revision+1)
	p.replace(change, key, o, &object{deleted: true}, op.Expired)
	p.endRecord(index)
	return nil
}

// expiringNow tells whether objects may wait for their removal, in which case the
// revisions of their roots do not count it yet. The lock is held.
func (p *Partition) expiringNow() bool { return p.nextExpiry <= p.now() }

// firstExpiry is the time of the first entry in bbolt.
func firstExpiry(b *bbolt.Bucket) int64 {
	if b == nil {
		return never
	}
	entry, _ := b.Cursor().First()
	if len(entry) < timeLen {
		return never
	}
	return expiryTime(entry)
}

// keyHeap is a heap of keys, the lowest on top (Knuth, volume 3, section 5.2.3).
type keyHeap []string

func (h *keyHeap) push(key string) {
	*h = append(*h, key)
	a := *h
	for i := len(a) - 1; i > 0; {
		up := (i - 1) / 2
		if a[up] <= a[i] {
			return
		}
		a[up], a[i] = a[i], a[up]
		i = up
	}
}

func (h *keyHeap) pop() {
	a := *h
	last := len(a) - 1
	a[0], a[last] = a[last], ""
	a = a[:last]
	*h = a
	for i := 0; ; {
		low := 2*i + 1
		if low >= len(a) {
			return
		}
		if low+1 < len(a) && a[low+1] < a[low] {
			low++
		}
		if a[i] <= a[low] {
			return
		}
		a[i], a[low] = a[low], a[i]
		i = low
	}
}
