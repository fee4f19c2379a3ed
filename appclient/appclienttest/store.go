package appclienttest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// store is what the fake nodes share: the state that Raft groups would
// replicate, with the rules of docs/protocol.md.
type store struct {
	parts    []*part
	indexes  []ring.Index
	sessions map[op.Session]*session
	lastID   uint64 // of sessions
	ahead    time.Duration
	room     int // for values in the answer that is being made, bytes
	cut      bool
	applied  []Applied
}

// part is one partition. Its position grows with each change.
type part struct {
	position uint64
	roots    map[string]*root
	events   []event
	floor    uint64 // events up to here are forgotten
	unheard  string // the index that it does not know of yet
	heard    uint64 // where it heard of that index
	changed  chan struct{}
}

type root struct {
	revision uint64
	objects  map[string]op.Object
}

// event is one of a partition, with the indexes that held the object before and
// hold it after.
type event struct {
	op.Event
	before, after []string
}

type session struct {
	partition uint32
	floor     uint64
	results   map[uint64]op.WriteResult
}

// Applied is a write that changed the state, for tests that count effects.
type Applied struct {
	Root      string
	Mutations []op.Mutation
}

func newStore(partitions int, indexes []ring.Index) *store {
	s := &store{sessions: make(map[op.Session]*session), indexes: indexes}
	for range partitions {
		s.parts = append(s.parts, &part{roots: make(map[string]*root), changed: make(chan struct{})})
	}
	return s
}

// now is the log time.
func (s *store) now() int64 { return time.Now().Add(s.ahead).UnixMilli() }

func (s *store) open(partition uint32) op.WriteResult {
	s.lastID++
	id := op.Session(s.lastID)
	s.sessions[id] = &session{partition: partition, results: make(map[uint64]op.WriteResult)}
	return op.WriteResult{Code: op.OK, Session: id}
}

func (s *store) write(partition uint32, w *op.Write) op.WriteResult {
	if tooLarge, err := w.Check(); err != nil {
		code := op.Invalid
		if tooLarge {
			code = op.TooLarge
		}
		return op.WriteResult{Code: code, Text: err.Error()}
	}
	ses := s.sessions[w.Session]
	switch {
	case ses == nil || ses.partition != partition:
		return op.WriteResult{Code: op.SessionExpired}
	case w.Floor > w.Seq:
		return op.WriteResult{Code: op.Invalid, Text: "the floor is above the sequence"}
	}
	if w.Floor > ses.floor {
		ses.floor = w.Floor
		maps.DeleteFunc(ses.results, func(seq uint64, _ op.WriteResult) bool { return seq < ses.floor })
	}
	if r, out := ses.outside(w.Seq); out {
		return r
	}
	if r, done := ses.results[w.Seq]; done {
		return r
	}
	r := s.apply(s.parts[partition], w)
	ses.results[w.Seq] = r
	return r
}

// outside answers what is not in the session's window.
func (s *session) outside(seq uint64) (op.WriteResult, bool) {
	if seq < s.floor || seq > s.floor+op.MaxWindow {
		return op.WriteResult{Code: op.Unknown, Text: "outside of the session's window"}, true
	}
	return op.WriteResult{}, false
}

// settle answers what became of a write, and takes its place if it was not applied.
func (s *store) settle(partition uint32, q *op.Settle) op.WriteResult {
	if err := q.Check(); err != nil {
		return op.WriteResult{Code: op.Invalid, Text: err.Error()}
	}
	ses := s.sessions[q.Session]
	if ses == nil || ses.partition != partition {
		return op.WriteResult{Code: op.SessionExpired}
	}
	if r, out := ses.outside(q.Seq); out {
		return r
	}
	if _, done := ses.results[q.Seq]; !done {
		ses.results[q.Seq] = op.WriteResult{Code: op.NotApplied}
	}
	return ses.results[q.Seq]
}

// expire removes what is due by log time, each object as a change of its own. False:
// nothing was.
func (s *store) expire(p *part) bool {
	now := s.now()
	var due []op.Object
	for name, r := range p.roots {
		for _, o := range r.objects {
			if o.Expires != 0 && o.Expires <= now {
				o.Root = name
				due = append(due, o)
			}
		}
	}
	slices.SortFunc(due, func(a, b op.Object) int {
		return cmp.Or(cmp.Compare(a.Expires, b.Expires), cmp.Compare(a.Root, b.Root), cmp.Compare(a.Path, b.Path))
	})
	for _, o := range due {
		r := p.roots[o.Root]
		r.revision++
		p.position++
		before := s.keysOf(o.Root, &o)
		delete(r.objects, o.Path)
		p.tell(op.Event{Kind: op.Expired, Root: o.Root, Path: o.Path, Position: p.position, Revision: r.revision}, before, nil)
	}
	if len(due) > 0 {
		p.wake()
	}
	return len(due) > 0
}

// nextExpiry is when the next object is due; false: none is.
func (s *store) nextExpiry(p *part) (time.Duration, bool) {
	var first int64
	for _, r := range p.roots {
		for _, o := range r.objects {
			if o.Expires != 0 && (first == 0 || o.Expires < first) {
				first = o.Expires
			}
		}
	}
	return time.Duration(max(0, first-s.now())) * time.Millisecond, first != 0
}

// maxEvents are kept of a partition; older ones are forgotten.
const maxEvents = 1 << 16

func (p *part) tell(e op.Event, before, after []string) {
	if len(p.events) == maxEvents {
		keep := p.events[maxEvents/2:]
		p.floor = keep[0].Position
		p.events = append([]event(nil), keep...)
	}
	p.events = append(p.events, event{e, before, after})
}

// wake lets those look again that wait for events.
func (p *part) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}
