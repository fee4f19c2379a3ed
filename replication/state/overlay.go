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
	roots map[string]*rootChange
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

// rootChange is what a generation knows of one root. Most roots have few objects: they
// are found without another look into a table that no cache holds.
type rootChange struct {
	revision uint64
	objects  []changed      // in this generation, unsorted; deleted ones as tombstones
	places   map[string]int // of the keys in objects; nil up to few of them
	first    [1]changed     // room for the first
}

// few is up to how many objects of a root are looked through one by one.
const few = 8

// find returns the object at a key until another is added, nil if it did not change.
func (r *rootChange) find(key []byte) *object {
	if r.places != nil {
		if i, ok := r.places[string(key)]; ok {
			return &r.objects[i].object
		}
		return nil
	}
	for i := range r.objects {
		if c := &r.objects[i]; c.key == string(key) {
			return &c.object
		}
	}
	return nil
}

// add takes an object at a key that has none.
func (r *rootChange) add(key string, o object) {
	r.objects = append(r.objects, changed{key, o})
	switch n := len(r.objects); {
	case r.places != nil:
		r.places[key] = n - 1
	case n > few:
		r.places = make(map[string]int, 2*n)
		for i := range r.objects {
			r.places[r.objects[i].key] = i
		}
	}
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
	return &overlay{roots: make(map[string]*rootChange)}
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
	if r := o.roots[string(rootOf(key))]; r != nil {
		if obj := r.find(key); obj != nil {
			return *obj, true
		}
	}
	return object{}, false
}

func (o *overlay) setRevision(root []byte, revision uint64) *rootChange {
	r := o.roots[string(root)]
	if r == nil {
		r = &rootChange{}
		r.objects = r.first[:0]
		o.roots[string(root)] = r
		o.bytes += int64(len(root)) + objectOverhead
	}
	r.revision = revision
	return r
}

func (o *overlay) set(r *rootChange, key []byte, obj object) {
	o.bytes += int64(len(obj.value) + len(obj.refs))
	if old := r.find(key); old != nil {
		o.bytes -= int64(len(old.value) + len(old.refs))
		*old = obj
		return
	}
	o.bytes += int64(len(key)) + objectOverhead
	r.add(string(key), obj)
}

// each visits the objects, in no order.
func (o *overlay) each(visit func(*changed)) {
	for _, r := range o.roots {
		for i := range r.objects {
			visit(&r.objects[i])
		}
	}
}

// merge adds a newer generation, after a flush of this one has failed.
func (o *overlay) merge(n *overlay) {
	counted := o.bytes + n.bytes // of both, until a flush succeeds
	for root, change := range n.roots {
		r := o.setRevision([]byte(root), change.revision)
		for i := range change.objects {
			o.set(r, []byte(change.objects[i].key), change.objects[i].object)
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
