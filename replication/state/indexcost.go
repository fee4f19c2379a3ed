package state

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// textIndexed says why a batch was refused.
func textIndexed(size int) string {
	return fmt.Sprintf("the batch would make and remove more than %d MiB of entries in indexes (%d bytes and more): split it", op.MaxIndexed>>20, size)
}

// indexedBy is how many bytes of entries a batch would make and remove in indexes, exactly where they may be more
// than it may, roughly else. An entry has the object's name, and an object up to maxEntries of them in each index, so a batch
// of a megabyte can make hundreds, for which everybody would wait. A batch of one mutation is never refused: it could not be
// split, and by maxEntries it makes no more than a batch may.
func (p *Partition) indexedBy(c *command, covering []*index) (size int) {
	if len(covering) == 0 || len(c.muts) == 1 || p.store.opt.Faults.IndexedUnbounded {
		return 0
	}
	for i := range c.muts {
		m := &c.muts[i]
		if m.kind == op.Check {
			continue
		}
		each := indexIDLen + op.MaxScalar + len(c.root) + 1 + len(m.path)
		most := min(valuesWithin(m.value)*each, maxEntries) + min(valuesWithin(p.befores[i].value)*each, maxEntries)
		for _, x := range covering {
			if x.covers(m.path) {
				size += most
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
			key := len(c.root) + 1 + len(m.path)
			faults := &p.store.opt.Faults
			differ(x.entries(old, key, faults), x.entries(&is, key, faults), func(s string, _ bool) { size += indexIDLen + len(s) + key })
		}
		if size > op.MaxIndexed {
			break
		}
	}
	return size
}

// IndexCost is about how many bytes of entries a write makes in these indexes, and removes again one day, for who shares
// out turns: an index holds no more than one value of JSON without arrays, and of others no more than commas separate.
// It is at most what a batch may make and remove, [op.MaxIndexed].
func IndexCost(indexes []ring.Index, w *op.Write) (size int) {
	for i := range indexes {
		x := &indexes[i]
		if !strings.HasPrefix(w.Root, x.Prefix) {
			continue
		}
		for k := range w.Mutations {
			m := &w.Mutations[k]
			if m.Kind != op.Put || len(m.Value) == 0 || x.Path != "*" && x.Path != m.Path {
				continue
			}
			values := 1
			if bytes.IndexByte(m.Value, '[') >= 0 {
				values = min(1+bytes.Count(m.Value, []byte{','}), maxValues)
			}
			each := indexIDLen + numberLen + len(w.Root) + 1 + len(m.Path)
			size += 2 * min(values*each+min(len(m.Value), values*op.MaxScalar), maxEntries)
		}
		if size >= op.MaxIndexed {
			return op.MaxIndexed
		}
	}
	return size
}
