package datanode

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/op"
)

const (
	hotKeys   = 128 // counted at a time, of reads and of writes
	hotSample = 16  // one operation of so many is looked at
	hotHalf   = 10 * time.Second
)

// hot finds the objects that are read and written most, by a sketch of fixed size
// (space-saving; Metwally, Agrawal, El Abbadi, 2005) whose counts are halved every
// ten seconds, so that it forgets.
type hot struct {
	mu     sync.Mutex
	reads  sketch
	writes sketch
	halved time.Time
}

func (h *hot) init(now time.Time) {
	h.reads.init()
	h.writes.init()
	h.halved = now
}

type hotKey struct{ root, path string }

// sketch counts at most hotKeys keys. One that is new takes the place of the one
// with the lowest count, and its count as the error of its own.
type sketch struct {
	place map[hotKey]int
	items []hotItem
}

type hotItem struct {
	hotKey
	count, over uint64 // over: by how much count may be too high
}

func (s *sketch) init() { s.place = make(map[hotKey]int, hotKeys) }

func (s *sketch) add(k hotKey, n uint64) {
	if i, ok := s.place[k]; ok {
		s.items[i].count += n
		return
	}
	if len(s.items) < hotKeys {
		s.place[k] = len(s.items)
		s.items = append(s.items, hotItem{k, n, 0})
		return
	}
	low := 0
	for i := range s.items {
		if s.items[i].count < s.items[low].count {
			low = i
		}
	}
	it := &s.items[low]
	delete(s.place, it.hotKey)
	s.place[k] = low
	*it = hotItem{k, it.count + n, it.count}
}

// halve halves all counts, and drops those that are nothing then.
func (s *sketch) halve() {
	kept := s.items[:0]
	clear(s.place)
	for _, it := range s.items {
		if it.count, it.over = it.count/2, it.over/2; it.count > 0 {
			s.place[it.hotKey] = len(kept)
			kept = append(kept, it)
		}
	}
	s.items = kept
}

// read counts a read of an object, or lets it pass uncounted.
func (h *hot) read(root, path string, now time.Time) {
	if rand.IntN(hotSample) == 0 {
		h.count(false, hotKey{root, path}, hotSample, now)
	}
}

// wrote counts a write on each object that it is to change, or lets it pass uncounted.
func (h *hot) wrote(root string, mutations []op.Mutation, now time.Time) {
	if rand.IntN(hotSample) != 0 {
		return
	}
	for i := range mutations {
		if mutations[i].Kind != op.Check {
			h.count(true, hotKey{root, mutations[i].Path}, hotSample, now)
		}
	}
}

func (h *hot) count(write bool, k hotKey, n uint64, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.age(now)
	if write {
		h.writes.add(k, n)
	} else {
		h.reads.add(k, n)
	}
}

// age halves as often as time says. The lock is held.
func (h *hot) age(now time.Time) {
	if now.Sub(h.halved) > 64*hotHalf {
		h.halved = now.Add(-64 * hotHalf) // nothing is left long before
	}
	for now.Sub(h.halved) >= hotHalf {
		h.reads.halve()
		h.writes.halve()
		h.halved = h.halved.Add(hotHalf)
	}
}

// list gives the hottest objects, those first that have most operations.
func (h *hot) list(limit int, now time.Time) adminxml.Hot {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.age(now)
	// At a steady rate r a count is 10 s times r just after it was halved, and grows by r.
	seconds := (hotHalf + now.Sub(h.halved)).Seconds()
	return adminxml.Hot{Reads: h.reads.list(limit, seconds), Writes: h.writes.list(limit, seconds)}
}

func (s *sketch) list(limit int, seconds float64) []adminxml.HotKey {
	items := slices.Clone(s.items)
	slices.SortFunc(items, func(a, b hotItem) int {
		switch {
		case a.count-a.over > b.count-b.over:
			return -1
		case a.count-a.over < b.count-b.over:
			return 1
		}
		return 0
	})
	out := make([]adminxml.HotKey, 0, min(limit, len(items)))
	for _, it := range items[:min(limit, len(items))] {
		out = append(out, adminxml.HotKey{
			Root: it.root, Path: it.path, Rate: float64(it.count) / seconds, Least: float64(it.count-it.over) / seconds,
		})
	}
	return out
}
