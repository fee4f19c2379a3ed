package state

import (
	"cmp"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// model is the state machine once more, as plainly as its rules can be said.
type model struct {
	opt      Options
	logTime  int64
	backlog  bool                   // the last command left expired objects
	objects  map[string]modelObject // root NUL path
	roots    map[string]uint64
	sessions map[op.Session]*modelSession
	epoch    uint64
	doc      string
	conf     string
	index    uint64
	events   []op.Event
	// revisions are all that the roots had.
	revisions  []modelRevision
	generation uint64
	indexes    []ring.Index
	used       map[uint32]bool // numbers of indexes
}

type modelRevision struct {
	root            string
	entry, revision uint64
}

// revisionAt is the root's revision after an entry.
func (m *model) revisionAt(root string, entry uint64) (revision uint64) {
	for _, r := range m.revisions {
		if r.root == root && r.entry <= entry {
			revision = r.revision
		}
	}
	return revision
}

type modelObject struct {
	version uint64
	expires int64
	value   string
	refs    []op.Ref
}

type modelSession struct {
	owner   string
	used    int64
	floor   uint64
	answers map[uint64]op.WriteResult
}

func newModel(opt Options) *model {
	opt.setDefaults()
	return &model{
		opt:      opt,
		objects:  map[string]modelObject{},
		roots:    map[string]uint64{},
		sessions: map[op.Session]*modelSession{},
	}
}

// entry is a log entry before it is encoded.
type entry struct {
	now   int64
	write *op.Write
	by    string // who writes or settles
	ask   *op.Settle
	tick  bool
	owner string // opens a session
	doc   string // replaces the ring
	epoch uint64
	conf  string
	noop  bool

	indexes []ring.Index // of the ring of that epoch
}

func (e *entry) encode() []byte {
	switch {
	case e.write != nil:
		return EncodeWrite(nil, e.now, OwnerOf(e.by), e.write)
	case e.ask != nil:
		return EncodeSettle(nil, e.now, OwnerOf(e.by), *e.ask)
	case e.tick:
		return EncodeTick(nil, e.now)
	case e.indexes != nil:
		return EncodeIndexes(nil, e.now, e.epoch, e.indexes)
	case e.owner != "":
		return EncodeOpen(nil, e.now, e.owner)
	case e.doc != "":
		return EncodeRing(nil, e.now, e.epoch, []byte(e.doc))
	}
	return nil
}

func (m *model) apply(index uint64, e *entry) op.WriteResult {
	m.index = index
	if e.conf != "" {
		m.conf = e.conf
	}
	if e.noop || e.conf != "" {
		return op.WriteResult{Code: op.OK}
	}
	m.logTime = max(m.logTime, e.now)
	m.expire()
	if e.write != nil || e.ask != nil || e.owner != "" {
		for id, s := range m.sessions {
			if m.logTime-s.used > m.opt.SessionTTL.Milliseconds() {
				delete(m.sessions, id)
			}
		}
	}
	switch {
	case e.tick:
		return op.WriteResult{Code: op.OK}
	case e.indexes != nil:
		if e.epoch > m.generation {
			m.generation, m.indexes = e.epoch, e.indexes
		}
		return op.WriteResult{Code: op.OK, Revision: m.generation}
	case e.owner != "":
		return m.open(index, e.owner)
	case e.doc != "":
		if e.epoch != m.epoch {
			return op.WriteResult{Code: op.Conflict, Revision: m.epoch}
		}
		m.epoch, m.doc = m.epoch+1, e.doc
		return op.WriteResult{Code: op.OK, Revision: m.epoch}
	}
	if e.ask != nil {
		return m.answer(e.by, e.ask.Session, e.ask.Seq, 0, func() op.WriteResult { return op.WriteResult{Code: op.NotApplied} })
	}
	w := e.write
	return m.answer(e.by, w.Session, w.Seq, w.Floor, func() op.WriteResult {
		if w.RootCond.Kind == op.VersionIs && m.backlog {
			return op.WriteResult{Code: op.Unavailable}
		}
		return m.batch(w)
	})
}

// expire removes what is due, at most as much as one entry may.
func (m *model) expire() {
	var due []string
	for key, o := range m.objects {
		if o.expires != 0 && o.expires <= m.logTime {
			due = append(due, key)
		}
	}
	sort.Slice(due, func(i, j int) bool {
		a, b := m.objects[due[i]].expires, m.objects[due[j]].expires
		return a < b || a == b && due[i] < due[j]
	})
	m.backlog = len(due) > m.opt.expirePerEntry
	for _, key := range due[:min(len(due), m.opt.expirePerEntry)] {
		root, _, _ := strings.Cut(key, "\x00")
		m.roots[root]++
		m.revisions = append(m.revisions, modelRevision{root, m.index, m.roots[root]})
		delete(m.objects, key)
		m.event(op.Expired, key)
	}
}

// waiting tells whether there are objects that have expired.
func (m *model) waiting() bool {
	for _, o := range m.objects {
		if o.expires != 0 && o.expires <= m.logTime {
			return true
		}
	}
	return false
}

func (m *model) event(kind op.EventKind, key string) {
	root, path, _ := strings.Cut(key, "\x00")
	m.events = append(m.events, op.Event{Kind: kind, Root: root, Path: path, Position: m.index, Revision: m.roots[root]})
}

// changes answers a Changes read, with the floor that the machine has.
func (m *model) changes(r *op.Read, floor uint64) op.ReadResult {
	res := op.ReadResult{Code: op.OK, Floor: floor, Position: max(r.Since, m.index), Time: m.logTime}
	since := r.Since
	if r.ByRevision {
		res.Revision = m.roots[r.Root]
		since = 0
	}
	if since < floor && (!r.ByRevision || m.behind(r.Root, r.SinceRevision, floor)) {
		return op.ReadResult{Code: op.Compacted, Position: res.Position, Time: m.logTime}
	}
	for _, e := range m.events {
		switch {
		case e.Position <= since || e.Position <= floor || r.ByRevision && e.Revision <= r.SinceRevision:
			continue
		case r.Root != "" && (e.Root != r.Root || !strings.HasPrefix(e.Path, r.Prefix)), r.Root == "" && !strings.HasPrefix(e.Root, r.Prefix):
			continue
		}
		if n := len(res.Events); n > 0 && r.Limit > 0 && n >= r.Limit && res.Events[n-1].Position != e.Position {
			res.More, res.Position = true, e.Position-1
			break
		}
		if r.Values && e.Kind == op.Written {
			o := m.at(e.Root + "\x00" + e.Path)
			if e.Superseded = o.version != e.Revision; !e.Superseded {
				e.Size, e.Value = uint64(len(o.value)), []byte(o.value)
			}
		}
		res.Events = append(res.Events, e)
	}
	return res
}

// behind tells whether a revision of the root above the given one was made at or
// before the floor. Revisions without events count, too.
func (m *model) behind(root string, revision, floor uint64) bool {
	return m.revisionAt(root, floor) > revision
}

// at is the object at a key, the zero one if there is none or it has expired.
func (m *model) at(key string) modelObject {
	if o := m.objects[key]; o.expires == 0 || o.expires > m.logTime {
		return o
	}
	return modelObject{}
}

func (m *model) open(index uint64, owner string) op.WriteResult {
	var own []op.Session
	for id, s := range m.sessions {
		if s.owner == owner {
			own = append(own, id)
		}
	}
	if len(own) >= m.opt.MaxOwnerSessions {
		slices.SortFunc(own, func(a, b op.Session) int {
			return cmp.Or(cmp.Compare(m.sessions[a].used, m.sessions[b].used), cmp.Compare(a, b))
		})
		if m.logTime-m.sessions[own[0]].used < m.opt.SessionGrace.Milliseconds() {
			return op.WriteResult{Code: op.Overloaded}
		}
		delete(m.sessions, own[0])
	}
	if len(m.sessions) >= m.opt.MaxSessions {
		var oldest op.Session
		for id, s := range m.sessions {
			o := m.sessions[oldest]
			if o == nil || s.used < o.used || s.used == o.used && id < oldest {
				oldest = id
			}
		}
		if m.logTime-m.sessions[oldest].used < m.opt.SessionGrace.Milliseconds() {
			return op.WriteResult{Code: op.Unavailable}
		}
		delete(m.sessions, oldest)
	}
	id := op.Session(index)
	m.sessions[id] = &modelSession{owner: owner, used: m.logTime, floor: 1, answers: map[uint64]op.WriteResult{}}
	return op.WriteResult{Code: op.OK, Session: id}
}

// answer is what the dedupe table has, or what execute gives.
func (m *model) answer(by string, id op.Session, seq, floor uint64, execute func() op.WriteResult) op.WriteResult {
	s := m.sessions[id]
	if s == nil {
		return op.WriteResult{Code: op.SessionExpired}
	}
	if s.owner != by {
		return op.WriteResult{Code: op.Denied}
	}
	if seq == 0 || floor > seq || seq > op.MaxSeq {
		return op.WriteResult{Code: op.Invalid}
	}
	s.used = m.logTime
	s.floor = max(s.floor, floor)
	for seq := range s.answers {
		if seq < s.floor {
			delete(s.answers, seq)
		}
	}
	if seq < s.floor || seq > s.floor+op.MaxWindow {
		return op.WriteResult{Code: op.Unknown}
	}
	if a, ok := s.answers[seq]; ok {
		return a
	}
	a := execute()
	if a.Code != op.Unavailable {
		s.answers[seq] = a
	}
	return a
}

func (m *model) batch(w *op.Write) op.WriteResult {
	res := op.WriteResult{Code: op.OK}
	if w.RootCond.Kind == op.VersionIs && w.RootCond.Version != m.roots[w.Root] {
		res.Code = op.Conflict
	}
	changes := false
	for _, mu := range w.Mutations {
		o := m.at(w.Root + "\x00" + mu.Path)
		v := o.version
		ok := mu.Cond.Kind == op.Always || mu.Cond.Kind == op.Absent && v == 0 ||
			mu.Cond.Kind == op.Present && v != 0 || mu.Cond.Kind == op.VersionIs && v == mu.Cond.Version
		item := op.Item{Code: op.OK, Version: v}
		if !ok {
			item.Code, res.Code = op.Conflict, op.Conflict
		}
		if mu.Kind == op.Add {
			n, err := strconv.ParseInt(o.value, 10, 64)
			if v == 0 {
				err = nil
			}
			if v == 0 || err != nil {
				n = 0
			}
			item.Count = n
			if sum := new(big.Int).Add(big.NewInt(n), big.NewInt(mu.Delta)); err != nil || !sum.IsInt64() {
				item.Code, res.Code, item.Count = op.Invalid, op.Conflict, n
			}
		}
		changes = changes || mu.Kind != op.Check
		res.Items = append(res.Items, item)
	}
	if res.Code == op.OK && changes {
		m.roots[w.Root]++
		m.revisions = append(m.revisions, modelRevision{w.Root, m.index, m.roots[w.Root]})
		for i, mu := range w.Mutations {
			m.mutate(w.Root, &mu, &res.Items[i])
		}
	}
	res.Revision = m.roots[w.Root]
	return res
}

func (m *model) mutate(root string, mu *op.Mutation, item *op.Item) {
	key := root + "\x00" + mu.Path
	o := m.at(key)
	switch {
	case mu.Kind == op.Check:
	case mu.Kind == op.Delete && o.version == 0:
		item.Code = op.NotFound
	case mu.Kind == op.Delete:
		delete(m.objects, key)
		item.Version = 0
		m.event(op.Deleted, key)
	case mu.Kind == op.Add:
		item.Count += mu.Delta
		item.Version = m.roots[root]
		m.objects[key] = modelObject{item.Version, o.expires, strconv.FormatInt(item.Count, 10), o.refs}
		m.event(op.Written, key)
	default:
		item.Version = m.roots[root]
		put := modelObject{item.Version, 0, string(mu.Value), mu.Refs}
		if mu.TTL != 0 {
			put.expires = m.logTime + mu.TTL
		}
		m.objects[key] = put
		m.event(op.Written, key)
	}
}

// read answers a List or Get from the model, without any limit of bytes.
func (m *model) read(r *op.Read) op.ReadResult {
	res := op.ReadResult{Revision: m.roots[r.Root], Expiring: m.waiting()}
	if r.Kind == op.Get {
		o := m.at(r.Root + "\x00" + r.Path)
		switch {
		case r.Version != 0 && r.Version != o.version:
			res.Code = op.Conflict
		case o.version == 0:
			res.Code = op.NotFound
		default:
			res.Code = op.OK
			from := min(r.Offset, uint64(len(o.value)))
			res.Objects = []op.Object{{Path: r.Path, Version: o.version, Size: uint64(len(o.value)), Expires: o.expires, Value: []byte(o.value[from:])}}
			if r.Offset == 0 {
				res.Objects[0].Refs = o.refs
			}
		}
		return res
	}
	if r.Kind == op.Scan {
		return m.scan(r)
	}
	res.Code = op.OK
	var paths []string
	for key := range m.objects {
		if m.at(key).version == 0 {
			continue
		}
		root, path, _ := strings.Cut(key, "\x00")
		if root == r.Root && strings.HasPrefix(path, r.Prefix) && (r.FromStart || path > r.After) {
			paths = append(paths, path)
		}
	}
	sort.Strings(paths)
	if r.Limit > 0 && len(paths) > r.Limit {
		paths, res.More = paths[:r.Limit], true
	}
	for _, path := range paths {
		o := m.objects[r.Root+"\x00"+path]
		res.Objects = append(res.Objects, op.Object{Path: path, Version: o.version, Size: uint64(len(o.value)), Expires: o.expires})
		if at := &res.Objects[len(res.Objects)-1]; r.Values {
			at.Value, at.Refs = []byte(o.value), o.refs
		}
	}
	return res
}

func (m *model) scan(r *op.Read) op.ReadResult {
	res := op.ReadResult{Code: op.OK, Position: m.index, Time: m.logTime}
	seen := map[string]bool{}
	var keys []string
	for key := range m.objects {
		root, _, _ := strings.Cut(key, "\x00")
		if m.at(key).version == 0 || !strings.HasPrefix(root, r.Prefix) || seen[root] && r.RootsOnly {
			continue
		}
		after := r.AfterRoot + "\x00" + r.After
		if r.RootsOnly {
			seen[root] = true
			key, after = root+"\x00", r.AfterRoot+"\x00"
		}
		if r.FromStart || key > after {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	if r.Limit > 0 && len(keys) > r.Limit {
		keys, res.More = keys[:r.Limit], true
	}
	for _, key := range keys {
		o := m.at(key)
		root, path, _ := strings.Cut(key, "\x00")
		res.Objects = append(res.Objects, op.Object{Root: root, Path: path, Version: o.version, Size: uint64(len(o.value)), Expires: o.expires})
		if at := &res.Objects[len(res.Objects)-1]; r.Values && o.version > 0 {
			at.Value, at.Refs = []byte(o.value), o.refs
		}
	}
	return res
}

// sameWrite compares results but for the texts.
func sameWrite(got, want op.WriteResult) error {
	got.Text, want.Text = "", ""
	got.RetryAfter = 0
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("result %+v, want %+v", got, want)
	}
	return nil
}

func sameRead(got, want op.ReadResult) error {
	got.Text, want.Text = "", ""
	if !want.Expiring {
		got.Expiring = false // an object may have been replaced
	}
	if want.Position == 0 {
		got.Position, got.Time = 0, 0
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		return fmt.Errorf("read %+v, want %+v", got, want)
	}
	return nil
}
