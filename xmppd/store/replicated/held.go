package replicated

import (
	"bytes"
	"errors"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
)

// Snapshots that are held for other servers: how many at most, and how long one is held that
// nobody asks for. Their number is small because each keeps pages of the file from being used again.
const (
	maxHeld  = 256
	heldTime = 5 * time.Second
	// pageBytes is about how much of a snapshot is in one answer: less than MaxPayload with
	// a part of a record in front of it.
	pageBytes = 128 << 10
)

// held are the snapshots that other servers read from here.
type held struct {
	mu   sync.Mutex
	last uint64
	list map[uint64]*heldView
}

type heldView struct {
	mu    sync.Mutex // one read at a time
	view  *state.RootView
	owner string
	used  time.Time // of held
}

// open answers with a snapshot: all of it, if that is little, else a part and a handle.
func (h *held) open(owner string, v *state.RootView) answer {
	a := answer{code: op.OK, revision: v.Revision()}
	if err := fill(&a, v, "", "", false); err != nil {
		v.Close()
		return unreadable(err)
	}
	if !a.more {
		v.Close()
		return a
	}
	a.objects, a.more = nil, false
	if o, ok, err := v.Get(pathState); err != nil {
		v.Close()
		return unreadable(err)
	} else if ok {
		a.objects = []object{{pathState, bytes.Clone(o.Value)}}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.list) >= maxHeld {
		v.Close()
		return answer{code: op.Overloaded, text: "this server holds too many snapshots for others"}
	}
	if h.list == nil {
		h.list = make(map[uint64]*heldView)
	}
	h.last++
	h.list[h.last] = &heldView{view: v, owner: owner, used: time.Now()}
	a.handle = h.last
	return a
}

func unreadable(err error) answer {
	if errors.Is(err, state.ErrCorrupt) {
		return answer{code: op.Unavailable, text: "the replica is damaged and being repaired"}
	}
	return answer{code: op.Unavailable, text: err.Error()}
}

// fill appends objects to an answer, as many as fit.
func fill(a *answer, v *state.RootView, from, to string, down bool) error {
	room := pageBytes
	return v.Scan(from, to, down, func(o op.Object) bool {
		if room -= len(o.Path) + len(o.Value); room < 0 && len(a.objects) > 0 {
			a.more = true
			return false
		}
		a.objects = append(a.objects, object{o.Path, bytes.Clone(o.Value)})
		return true
	})
}

// read answers from a snapshot. Code op.Compacted: it is not held any more.
func (h *held) read(owner string, r *request) answer {
	h.mu.Lock()
	v := h.list[r.handle]
	if v != nil && v.owner == owner {
		v.used = time.Now()
	} else {
		v = nil
	}
	h.mu.Unlock()
	if v == nil {
		return answer{code: op.Compacted, text: "the snapshot is not held any more"}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.view == nil {
		return answer{code: op.Compacted, text: "the snapshot is not held any more"}
	}
	a := answer{code: op.OK, revision: v.view.Revision()}
	if r.kind == askScan {
		if err := fill(&a, v.view, r.from, r.to, r.down); err != nil {
			return unreadable(err)
		}
		return a
	}
	o, ok, err := v.view.Get(r.from)
	switch {
	case err != nil:
		return unreadable(err)
	case ok:
		a.objects = []object{{o.Path, bytes.Clone(o.Value)}}
	default:
		a.code = op.NotFound
	}
	return a
}

// close lets go of a snapshot.
func (h *held) close(owner string, handle uint64) {
	h.mu.Lock()
	v := h.list[handle]
	if v != nil && v.owner == owner {
		delete(h.list, handle)
	} else {
		v = nil
	}
	h.mu.Unlock()
	v.end()
}

// sweep lets go of the snapshots that nobody has asked for since.
func (h *held) sweep(since time.Time) {
	var old []*heldView
	h.mu.Lock()
	for id, v := range h.list {
		if v.used.Before(since) {
			delete(h.list, id)
			old = append(old, v)
		}
	}
	h.mu.Unlock()
	for _, v := range old {
		v.end()
	}
}

func (v *heldView) end() {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.view.Close()
	v.view = nil
}
