package state

import (
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// textIndexed says why a batch was refused.
func textIndexed(size int) string {
	return fmt.Sprintf("the batch would make and remove more than %d MiB of entries in indexes (%d bytes and more): split it", op.MaxIndexed>>20, size)
}

// indexedBy is how many bytes of entries a batch would make and remove in indexes, exactly where they may be more
// than it may, roughly else. An entry has the object's name, and an object up to maxValues of them in each index, so a batch
// of a megabyte can make hundreds, for which everybody would wait. A batch of one mutation is never refused:
// it could not be split.
func (p *Partition) indexedBy(c *command, covering []*index) (size int) {
	if len(covering) == 0 || len(c.muts) == 1 || p.store.opt.Faults.IndexedUnbounded {
		return 0
	}
	for i := range c.muts {
		m := &c.muts[i]
		if m.kind == op.Check {
			continue
		}
		entries := valuesWithin(m.value) + valuesWithin(p.befores[i].value)
		for _, x := range covering {
			if x.covers(m.path) {
				size += entries * (indexIDLen + op.MaxScalar + len(c.root) + 1 + len(m.path))
			}
		}
	}
	if size <= op.MaxIndexed {
		return 0
	}
	return p.indexedExactly(c, covering)
}

// valuesWithin is how many values an index has of an object at most: each takes two bytes of JSON.
func valuesWithin(value []byte) int {
	return min(len(value)/2, maxValues)
}

// indexedExactly stops once it is more than a batch may.
func (p *Partition) indexedExactly(c *command, covering []*index) (size int) {
	for i := range c.muts {
		m, old := &c.muts[i], &p.befores[i].object
		if m.kind == op.Check {
			continue
		}
		is := object{version: 1, value: m.value, deleted: m.kind == op.Delete}
		if m.kind == op.Add {
			is.value = nil // one number
		}
		for _, x := range covering {
			if !x.covers(m.path) {
				continue
			}
			rest := indexIDLen + len(c.root) + 1 + len(m.path)
			differ(x.entries(old), x.entries(&is), func(s string, _ bool) { size += len(s) + rest })
		}
		if size > op.MaxIndexed {
			break
		}
	}
	return size
}
