package state

import (
	"bytes"
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
)

const textBuilding = "the index is being built here; ask again later"

// buildingRetry is when to ask for an index again that is being built, milliseconds.
const buildingRetry = 1000

// readyIndex finds an index that can be read; else code and text say why not. Its
// number decides where the read has it: whoever checked what the reader may see
// went by one definition, and the partition may have another of that name yet. The
// lock is held.
func (p *Partition) readyIndex(r *op.Read) (i *index, code op.Code, text string) {
	at := slices.IndexFunc(p.indexes.list, func(i *index) bool {
		if r.IndexID != 0 {
			return i.ID == r.IndexID && !i.gone
		}
		return i.Name == r.Index && !i.gone
	})
	switch {
	case at < 0:
		return nil, op.NotFound, textNoIndex
	case !p.indexes.list[at].ready:
		return nil, op.Unavailable, textBuilding
	}
	return p.indexes.list[at], 0, ""
}

// query answers a page of an index. A look may find nothing, as in scan.
func (p *Partition) query(r *op.Read) (op.ReadResult, error) {
	next := *r
	for {
		res, behind, err := p.queryOnce(&next)
		if err != nil || behind == "" || len(res.Objects) > 0 {
			res.More = res.More || behind != ""
			return res, err
		}
		next.Cursor = []byte(behind[indexIDLen:])
	}
}

// hit is an entry that a query found, with its object if that has changed.
type hit struct {
	entry string
	key   []byte // of the object
	value op.Scalar
	object
	known bool
}

// queryOnce looks for a page; behind is where it stopped for want of knowledge.
func (p *Partition) queryOnce(r *op.Read) (op.ReadResult, string, error) {
	p.mu.RLock()
	g := p.newPage(r)
	i, code, text := p.readyIndex(r)
	if code != 0 {
		p.mu.RUnlock()
		res := op.ReadResult{Code: code, Position: g.res.Position, Time: g.res.Time, Text: text}
		if code == op.Unavailable {
			res.RetryAfter = buildingRetry
		}
		return res, "", nil
	}
	lo, hi := bounds(i.ID, r)
	over, behind := p.lookKeys(lo, hi, r.Desc, max(g.limit+1, atLeast))
	tx, err := p.store.begin()
	if err != nil {
		p.mu.RUnlock()
		return op.ReadResult{}, "", err
	}
	defer tx.Rollback()
	var b *bbolt.Bucket
	var hits []hit
	err = p.store.guard(func() error {
		b = tx.Bucket(p.key)
		hits = p.hits(sub(b, indexBucket), over, lo, hi, behind, r.Desc, g.limit+1)
		return nil
	})
	p.mu.RUnlock()
	if err != nil {
		return op.ReadResult{}, "", err
	}
	objects := sub(b, objectsBucket)
	for k := range hits {
		h := &hits[k]
		if !h.known {
			if h.object, _, err = storedObject(objects, h.key); err != nil {
				return op.ReadResult{}, "", err
			}
		}
		if !h.live(g.now) {
			continue
		}
		o, ok := g.object(h.key, &h.object)
		if !ok {
			return g.res, "", nil
		}
		o.Key, o.Cursor = h.value, []byte(h.entry[indexIDLen:])
		g.room -= len(o.Cursor)
	}
	if len(hits) > g.limit {
		behind = hits[len(hits)-1].entry
	}
	return g.res, behind, nil
}

// hits lists entries and the changed ones of their objects. The lock is held: an
// object must be the one that its entry was made of.
func (p *Partition) hits(b *bbolt.Bucket, over []keyChange, lo, hi, behind string, desc bool, most int) (list []hit) {
	walkKeys(b, over, lo, hi, desc, func(entry string) bool {
		if len(list) == most || behind != "" && (entry > behind) != desc && entry != behind {
			return false
		}
		h := hit{entry: entry}
		var ok bool
		if h.value, h.key, ok = cutScalar([]byte(entry[indexIDLen:])); ok {
			h.object, h.known = p.overlaid(h.key)
			list = append(list, h)
		}
		return true
	})
	return list
}

// bounds is the range of entries of a query: from lo, up to and without hi.
func bounds(id uint32, r *op.Read) (lo, hi string) {
	prefix := binary.BigEndian.AppendUint32(nil, id)
	low, high := slices.Clone(prefix), append(slices.Clone(prefix), behindAll)
	if r.From != nil {
		low = appendScalar(low, r.From)
	}
	if r.To != nil {
		high = append(appendScalar(slices.Clone(prefix), r.To), behindAll)
	}
	if r.Cursor != nil {
		at := append(slices.Clone(prefix), r.Cursor...)
		if r.Desc && bytes.Compare(at, high) < 0 {
			high = at
		} else if at = append(at, 0); !r.Desc && bytes.Compare(at, low) > 0 {
			low = at
		}
	}
	return string(low), string(high)
}

// keyChange is a changed entry of a table that has only keys.
type keyChange struct {
	key   string
	there bool
}

// lookKeys lists the changed entries of the indexes within a range, in order; as
// look.
func (p *Partition) lookKeys(lo, hi string, desc bool, most int) (over []keyChange, behind string) {
	low := lowest{most: most, highest: desc}
	gens := []*overlay{p.active, p.flushing}
	for _, gen := range gens {
		if gen == nil {
			continue
		}
		for key := range gen.index {
			if key >= lo && key < hi {
				low.add(key)
			}
		}
	}
	for _, key := range low.take() {
		there, ok := p.active.index[key]
		if !ok {
			there = p.flushing.index[key]
		}
		over = append(over, keyChange{key, there})
	}
	return over, low.behind()
}

// walkKeys visits the keys of a table as changed by over, from lo up to and without
// hi, or the other way round, until visit is false.
func walkKeys(b *bbolt.Bucket, over []keyChange, lo, hi string, desc bool, visit func(key string) bool) {
	var c *bbolt.Cursor
	var key []byte
	step := func() {
		if desc {
			key, _ = c.Prev()
		} else {
			key, _ = c.Next()
		}
	}
	if b != nil {
		c = b.Cursor()
		if !desc {
			key, _ = c.Seek([]byte(lo))
		} else if key, _ = c.Seek([]byte(hi)); key != nil {
			step()
		} else {
			key, _ = c.Last()
		}
	}
	for {
		stored := ""
		if key != nil && string(key) >= lo && string(key) < hi {
			stored = string(key)
		}
		next, there := stored, true
		if len(over) > 0 && (stored == "" || over[0].key == stored || (over[0].key < stored) != desc) {
			next, there = over[0].key, over[0].there
			over = over[1:]
		}
		if next == "" {
			return
		}
		if next == stored {
			step()
		}
		if there && !visit(next) {
			return
		}
	}
}
