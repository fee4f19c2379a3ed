package state

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// EncodeScrub appends the command at which each replica takes a picture of its
// state, to compare digests of it: see [Partition.TakeScrub]. Its result has the
// entry's index as revision.
func EncodeScrub(dst []byte, now int64) []byte { return appendHead(dst, kindScrub, now) }

// scrubAt takes the picture of a scrub, right behind its entry. The lock is held.
func (p *Partition) scrubAt() {
	p.dropScrub()
	v, err := p.picture(0)
	if err != nil {
		return // the file is being closed: this scrub is not answered
	}
	p.scrub = v
}

func (p *Partition) dropScrub() {
	if p.scrub != nil {
		p.scrub.Close()
		p.scrub = nil
	}
}

// TakeScrub returns the picture of the last scrub applied, once; nil if there is
// none. The caller closes it.
func (p *Partition) TakeScrub() *Picture {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.scrub
	p.scrub = nil
	return v
}

// MarkDamaged notes that what is stored of the partition is not what it should be.
// From then on it applies nothing and answers no reads, until Restore puts another
// state in its place.
func (p *Partition) MarkDamaged(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.store.Err() == nil { // else nothing can be mended here
		p.damage(err)
	}
}

// Condemn is MarkDamaged for what no checksum tells: it is noted in the file, too,
// so that a restart does not serve from it before the repair. The note goes with the
// state. Errors: ErrFull, ErrClosed; any other leaves the store dead.
func (p *Partition) Condemn(err error) error {
	p.MarkDamaged(err)
	if p.store.opt.Faults.CondemnedInMemory {
		return nil
	}
	return p.store.write(func(tx *bbolt.Tx) error {
		b := tx.Bucket(p.key)
		if b == nil || p.Damaged() == nil { // repaired by now
			return nil
		}
		return b.Put(condemnedKey, []byte(err.Error()))
	})
}

func (p *Partition) damage(err error) {
	if p.damaged != nil {
		return
	}
	p.damaged = err
	if p.store.opt.OnDamaged != nil {
		p.store.opt.OnDamaged(p.id, err)
	}
}

// Damaged says what is wrong with what is stored; nil while nothing is known.
func (p *Partition) Damaged() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.damaged
}

// noticed marks the partition where an error of reading says that a record is
// damaged. The lock is not held.
func (p *Partition) noticed(err error) {
	if errors.Is(err, ErrCorrupt) && p.store.Err() == nil {
		p.MarkDamaged(err)
	}
}

// broken is the answer of Apply on a damaged partition: the entry takes effect,
// elsewhere now and here later.
func (p *Partition) broken() op.WriteResult {
	return op.WriteResult{Code: op.Retry, Text: fmt.Sprintf("this replica is damaged and being repaired: %v; ask another", p.damaged)}
}
