package state

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// A step of building or removing an index takes place at each tick, and at each
// entry whose number is a multiple of stepEvery. It looks at that much.
const (
	stepEvery   = 32
	stepObjects = 512
	stepBytes   = 1 << 20
)

// setIndexes takes over the definitions of a newer ring document.
func (p *Partition) setIndexes(c *command) op.WriteResult {
	x := &p.indexes
	if c.epoch <= x.generation {
		return op.WriteResult{Code: op.OK, Revision: x.generation}
	}
	if len(c.indexes) > maxIndexes {
		return invalid(fmt.Errorf("%d indexes; the limit is %d", len(c.indexes), maxIndexes))
	}
	for i := range c.indexes {
		if err := checkIndex(&c.indexes[i]); err != nil {
			return invalid(err)
		}
	}
	x.generation, x.dirty = c.epoch, true
	for _, i := range x.list {
		at := slices.IndexFunc(c.indexes, func(d ring.Index) bool { return sameIndex(&d, &i.Index) })
		if at < 0 {
			i.gone, i.ready, i.cursor = true, false, ""
		} else if !i.gone {
			i.Name = c.indexes[at].Name
		}
	}
	for _, d := range c.indexes {
		if !slices.ContainsFunc(x.list, func(i *index) bool { return i.ID == d.ID }) {
			x.list = append(x.list, &index{Index: d, field: strings.Split(d.Field, ".")})
		}
	}
	slices.SortFunc(x.list, func(a, b *index) int { return int(int64(a.ID) - int64(b.ID)) })
	x.working = slices.ContainsFunc(x.list, func(i *index) bool { return !i.ready })
	return op.WriteResult{Code: op.OK, Revision: x.generation}
}

// sameIndex tells whether two definitions have the same entries.
func sameIndex(a, b *ring.Index) bool {
	return a.ID == b.ID && a.Prefix == b.Prefix && a.Path == b.Path && a.Field == b.Field
}

// step goes on with the first index that is being removed or built.
func (p *Partition) step(entry uint64) error {
	x := &p.indexes
	at := slices.IndexFunc(x.list, func(i *index) bool { return !i.ready })
	if at < 0 {
		x.working = false
		return nil
	}
	i := x.list[at]
	x.dirty = true
	var done bool
	var err error
	if i.gone {
		if done, err = p.unindex(i); done {
			x.list = slices.Delete(x.list, at, at+1)
		}
	} else {
		if done, err = p.build(i); done {
			i.ready, i.since, i.cursor = true, entry, ""
		}
	}
	x.working = slices.ContainsFunc(x.list, func(i *index) bool { return !i.ready })
	return err
}

// build enters the next objects. How many is counted in what the machine holds, so
// that all replicas stop at the same one, wherever their flushes were.
func (p *Partition) build(i *index) (done bool, err error) {
	objects, size := 0, 0
	full := func() bool { return objects >= p.store.opt.stepObjects || size+p.indexed >= stepBytes }
	after := i.cursor
	for {
		over, behind := p.look(i.Prefix, after, p.store.opt.stepObjects+1)
		if err := p.stored.begin(); err != nil {
			return false, err
		}
		err := merge(p.stored.objects, over, []byte(i.Prefix), []byte(after), func(key []byte, o *object) bool {
			if full() || behind != "" && string(key) > behind {
				return false
			}
			objects++
			size += len(key) + len(o.value)
			i.cursor = string(key)
			if i.covers(key[len(rootOf(key))+1:]) {
				p.enter(i, key, nil, i.entries(o, len(key), &p.store.opt.Faults))
			}
			return true
		})
		if err != nil || full() {
			return false, err
		}
		if behind == "" {
			return true, nil
		}
		after = behind
	}
}

// unindex removes the next entries, counted as in build.
func (p *Partition) unindex(i *index) (done bool, err error) {
	id := string(binary.BigEndian.AppendUint32(nil, i.ID))
	lo, hi := id+i.cursor, id+string([]byte{behindAll})
	removed := 0
	for {
		over, behind := p.lookKeys(lo, hi, false, p.store.opt.stepObjects+1)
		if err := p.stored.begin(); err != nil {
			return false, err
		}
		var keys []string
		walkKeys(p.stored.index, over, lo, hi, false, func(key string) bool {
			if removed == p.store.opt.stepObjects || behind != "" && key > behind {
				return false
			}
			removed++
			keys = append(keys, key)
			return true
		})
		for _, key := range keys {
			p.active.setIndex(key, false)
			i.cursor = key[indexIDLen:]
		}
		if removed == p.store.opt.stepObjects || behind == "" {
			return removed < p.store.opt.stepObjects, nil
		}
		lo = behind
	}
}
