package state

import (
	"maps"

	"github.com/rosterdb/rosterdb/internal/op"
)

// objectOverhead is about what an object costs in an overlay besides its bytes.
const objectOverhead = 128

// overlay holds changes that bbolt does not have yet. A partition has up to two
// generations: the active one that Apply fills, and the one being flushed,
// which nobody changes.
type overlay struct {
	objects map[string]object // by key; deleted ones as tombstones
	roots   map[string]*rootChange
	// expiry holds the changed entries of the expiry bucket: true where there is one
	// now. Those that there are lie in soonest, too; some there may be gone again.
	expiry  map[string]bool
	soonest keyHeap
	index   map[string]bool // the changed entries of the indexes, likewise
	// Filled when the generation is rotated out:
	sessions map[op.Session][]byte // sealed records; nil: removed
	history  map[uint64][]byte     // changed blocks by their first entry; nil: dropped
	blocks   []byte                // the list of the blocks of the history; nil: unchanged
	indexes  []byte                // the definitions of the indexes, and how far they are; nil: unchanged
	position position
	ring     *ringDoc // nil: unchanged

	bytes   int64
	delayed bool // Faults.AppliedOutsideTx: the position is committed, the data not
}

// rootChange is what a generation knows of one root.
type rootChange struct {
	revision uint64
	keys     []string  // of its objects in this generation, unsorted
	first    [1]string // room for the first key
}

// position is where a partition's state stands.
type position struct {
	index   uint64
	term    uint64
	logTime int64 // milliseconds since 1970, never falls
	conf    []byte
}

// ringDoc is the ring document of the meta partition.
type ringDoc struct {
	epoch uint64
	doc   []byte
}

func newOverlay() *overlay {
	return &overlay{objects: make(map[string]object), roots: make(map[string]*rootChange)}
}

func (o *overlay) revision(root []byte) (uint64, bool) {
	if o == nil {
		return 0, false
	}
	r, ok := o.roots[string(root)]
	if !ok {
		return 0, false
	}
	return r.revision, true
}

func (o *overlay) object(key []byte) (object, bool) {
	if o == nil {
		return object{}, false
	}
	obj, ok := o.objects[string(key)]
	return obj, ok
}

func (o *overlay) setRevision(root []byte, revision uint64) *rootChange {
	r := o.roots[string(root)]
	if r == nil {
		r = &rootChange{}
		r.keys = r.first[:0]
		o.roots[string(root)] = r
		o.bytes += int64(len(root)) + objectOverhead
	}
	r.revision = revision
	return r
}

func (o *overlay) set(r *rootChange, key []byte, obj object) {
	old, known := o.objects[string(key)]
	o.bytes += int64(len(obj.value) + len(obj.refs) - len(old.value) - len(old.refs))
	k := string(key)
	if !known {
		r.keys = append(r.keys, k)
		o.bytes += int64(len(key)) + objectOverhead
	}
	o.objects[k] = obj
}

// merge adds a newer generation, after a flush of this one has failed.
func (o *overlay) merge(n *overlay) {
	counted := o.bytes + n.bytes // of both, until a flush succeeds
	for root, change := range n.roots {
		r := o.setRevision([]byte(root), change.revision)
		for _, key := range change.keys {
			o.set(r, []byte(key), n.objects[key])
		}
	}
	if o.expiry == nil {
		o.expiry = n.expiry
	} else {
		maps.Copy(o.expiry, n.expiry)
	}
	if o.index == nil {
		o.index = n.index
	} else {
		maps.Copy(o.index, n.index)
	}
	for _, key := range n.soonest {
		o.soonest.push(key)
	}
	if o.sessions == nil {
		o.sessions = make(map[op.Session][]byte)
	}
	maps.Copy(o.sessions, n.sessions)
	if n.indexes != nil {
		o.indexes = n.indexes
	}
	if n.blocks != nil {
		if o.history == nil {
			o.history = make(map[uint64][]byte)
		}
		maps.Copy(o.history, n.history)
		o.blocks = n.blocks
	}
	o.position = n.position
	if n.ring != nil {
		o.ring = n.ring
	}
	o.bytes = counted
}
