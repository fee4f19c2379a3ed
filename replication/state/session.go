package state

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// session is one client's dedupe table in one partition (docs/adr/0001; Ongaro's
// thesis, section 6.3).
type session struct {
	id      op.Session
	owner   string
	by      Owner // of owner
	used    int64 // log time of the last use
	floor   uint64
	results []result // by seq, none below floor
	items   int      // the size of the results
	total   *share   // of the owner
	dirty   bool     // changed since the last rotation
}

// share is what one owner has in the partition's table.
type share struct {
	sessions, items int
}

// result is a recorded answer.
type result struct {
	seq      uint64
	code     op.Code
	revision uint64
	items    []op.Item // never changed: shared with answers
	alike    int       // so many items are like the one of items; 0: items are all
	text     string    // not recorded
}

func (r *result) answer() op.WriteResult {
	items := r.items
	if r.alike > 0 {
		items = slices.Repeat(items, r.alike)
	}
	return op.WriteResult{Code: r.code, Revision: r.revision, Items: items, Text: r.text}
}

// size is what is counted of it, in items.
func (r *result) size() int { return len(r.items) + 3 }

// folded keeps one of items that are all alike, as they are of a batch of puts.
func (r result) folded() result {
	r.text = ""
	if n := len(r.items); n > 1 && !slices.ContainsFunc(r.items, func(it op.Item) bool { return it != r.items[0] }) {
		r.items, r.alike = []op.Item{r.items[0]}, n
	}
	return r
}

// find returns where seq is or belongs.
func (s *session) find(seq uint64) (int, bool) {
	// Nearly always a new highest one.
	if n := len(s.results); n == 0 || s.results[n-1].seq < seq {
		return n, false
	}
	return slices.BinarySearchFunc(s.results, seq, func(r result, seq uint64) int {
		switch {
		case r.seq < seq:
			return -1
		case r.seq > seq:
			return 1
		}
		return 0
	})
}

func (s *session) record(r result) {
	r = r.folded()
	i, found := s.find(r.seq)
	if found {
		s.count(r.size() - s.results[i].size())
		s.results[i] = r
		return
	}
	s.count(r.size())
	s.results = slices.Insert(s.results, i, r)
}

func (s *session) count(items int) {
	s.items += items
	if s.total != nil {
		s.total.items += items
	}
}

// raise lifts the floor and drops the answers below it.
func (s *session) raise(floor uint64) {
	if floor <= s.floor {
		return
	}
	s.floor = floor
	i, _ := s.find(floor)
	for k := range s.results[:i] {
		s.count(-s.results[k].size())
	}
	s.results = slices.Delete(s.results, 0, i)
}

// append encodes the session without its id.
func (s *session) append(dst []byte) []byte {
	dst = binenc.AppendString(dst, s.owner)
	dst = binary.AppendUvarint(dst, uint64(s.used))
	dst = binary.AppendUvarint(dst, s.floor)
	dst = binary.AppendUvarint(dst, uint64(len(s.results)))
	for i := range s.results {
		r := &s.results[i]
		dst = binary.AppendUvarint(dst, r.seq)
		dst = append(dst, byte(r.code))
		dst = binary.AppendUvarint(dst, r.revision)
		dst = binary.AppendUvarint(dst, uint64(max(len(r.items), r.alike)))
		for range max(1, r.alike) {
			for _, it := range r.items {
				dst = appendItem(dst, it)
			}
		}
	}
	return dst
}

// withCount in the code of an item says that a counter's value follows.
const withCount = 0x80

func appendItem(dst []byte, it op.Item) []byte {
	if it.Count == 0 {
		return binary.AppendUvarint(append(dst, byte(it.Code)), it.Version)
	}
	dst = binary.AppendUvarint(append(dst, byte(it.Code)|withCount), it.Version)
	return binary.AppendVarint(dst, it.Count)
}

func decodeItem(d *binenc.Reader) op.Item {
	code := d.Byte()
	it := op.Item{Code: op.Code(code &^ withCount), Version: d.Uvarint()}
	if code&withCount != 0 {
		it.Count = varint(d)
	}
	return it
}

func decodeSession(id op.Session, p []byte) (*session, error) {
	d := binenc.Reader{B: p}
	s := &session{id: id, owner: string(d.Bytes()), used: int64(d.Uvarint()), floor: d.Uvarint()}
	s.by = OwnerOf(s.owner)
	if n := d.Count(4); n > 0 {
		s.results = make([]result, n)
	}
	for i := range s.results {
		r := &s.results[i]
		*r = result{seq: d.Uvarint(), code: op.Code(d.Byte()), revision: d.Uvarint()}
		if n := d.Count(2); n > 0 {
			r.items = make([]op.Item, n)
		}
		for k := range r.items {
			r.items[k] = decodeItem(&d)
		}
		*r = r.folded()
		s.items += r.size()
	}
	if err := d.End(); err != nil {
		return nil, fmt.Errorf("%w: session %d: %w", ErrCorrupt, id, err)
	}
	return s, nil
}

// sessions is a partition's table of sessions. Everything in it depends on the
// log alone: on the entries' order and on log time.
type sessions struct {
	byID    map[op.Session]*session
	owners  map[string]*share
	dirty   []*session
	dropped []op.Session // since the last rotation
	// oldest is at or below the time of use of every session, so that expiry
	// looks at them only when there may be something to do.
	oldest int64
}

func (t *sessions) touch(s *session, now int64) {
	s.used = now
	t.oldest = min(t.oldest, now)
	t.changed(s)
}

func (t *sessions) changed(s *session) {
	if !s.dirty {
		s.dirty = true
		t.dirty = append(t.dirty, s)
	}
}

func (t *sessions) sessionsOf(owner string) int {
	if share := t.owners[owner]; share != nil {
		return share.sessions
	}
	return 0
}

// bound gives answers of an owner up, once more of them are kept than may be, until they are three quarters of
// that: those of the session unused for longest, the oldest first. Whoever asks for one of them again is told that it is
// unknown what became of it, as below any floor.
func (t *sessions) bound(share *share, most int) {
	if share.items <= most {
		return
	}
	var list []*session
	for _, s := range t.byID {
		if s.total == share && s.items > 0 {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *session) int {
		if a.longerUnused(b) {
			return -1
		}
		return 1
	})
	for _, s := range list {
		for len(s.results) > 0 && share.items > most*3/4 {
			s.raise(s.results[0].seq + 1)
			t.changed(s)
		}
	}
}

func newSessions() sessions {
	return sessions{byID: make(map[op.Session]*session), owners: make(map[string]*share)}
}

func (t *sessions) add(s *session) {
	t.byID[s.id] = s
	if t.owners[s.owner] == nil {
		t.owners[s.owner] = &share{}
	}
	s.total = t.owners[s.owner]
	s.total.sessions++
	s.total.items += s.items
}

func (t *sessions) drop(s *session) {
	delete(t.byID, s.id)
	s.total.items -= s.items
	if s.total.sessions--; s.total.sessions == 0 {
		delete(t.owners, s.owner)
	}
	t.dropped = append(t.dropped, s.id)
}

// expire drops the sessions not used since before.
func (t *sessions) expire(before int64) {
	if t.oldest >= before {
		return
	}
	oldest := int64(1<<63 - 1)
	for _, s := range t.byID {
		if s.used < before {
			t.drop(s)
		} else {
			oldest = min(oldest, s.used)
		}
	}
	t.oldest = oldest
}

// place tells what one more session of an owner costs: nothing, the session of theirs
// that is unused for longest, or a wait of so many ms of log time until that one may
// go. It changes none; it looks at all where the owner has as many as it may.
func (t *sessions) place(owner string, now int64, opt *Options) (old *session, wait int64) {
	if t.sessionsOf(owner) < opt.MaxOwnerSessions {
		return nil, 0
	}
	for _, s := range t.byID {
		if s.owner == owner && (old == nil || s.longerUnused(old)) {
			old = s
		}
	}
	if opt.Faults.UsedEvicted {
		return old, 0
	}
	return old, max(0, opt.SessionGrace.Milliseconds()-(now-old.used))
}

// leastRecent is the session unused for longest, the lowest id if several are.
func (t *sessions) leastRecent() *session {
	var found *session
	for _, s := range t.byID {
		if found == nil || s.longerUnused(found) {
			found = s
		}
	}
	return found
}

func (s *session) longerUnused(than *session) bool {
	return s.used < than.used || s.used == than.used && s.id < than.id
}
