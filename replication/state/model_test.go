package state

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
)

// model is the state machine once more, as plainly as its rules can be said.
type model struct {
	opt      Options
	logTime  int64
	objects  map[string]modelObject // root NUL path
	roots    map[string]uint64
	sessions map[op.Session]*modelSession
	epoch    uint64
	doc      string
	conf     string
}

type modelObject struct {
	version uint64
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
	owner string // opens a session
	doc   string // replaces the ring
	epoch uint64
	conf  string
	noop  bool
}

func (e *entry) encode() []byte {
	switch {
	case e.write != nil:
		return EncodeWrite(nil, e.now, e.write)
	case e.owner != "":
		return EncodeOpen(nil, e.now, e.owner)
	case e.doc != "":
		return EncodeRing(nil, e.now, e.epoch, []byte(e.doc))
	}
	return nil
}

func (m *model) apply(index uint64, e *entry) op.WriteResult {
	if e.conf != "" {
		m.conf = e.conf
	}
	if e.noop || e.conf != "" {
		return op.WriteResult{Code: op.OK}
	}
	m.logTime = max(m.logTime, e.now)
	if e.write != nil || e.owner != "" {
		for id, s := range m.sessions {
			if m.logTime-s.used > m.opt.SessionTTL.Milliseconds() {
				delete(m.sessions, id)
			}
		}
	}
	switch {
	case e.owner != "":
		return m.open(index, e.owner)
	case e.doc != "":
		if e.epoch != m.epoch {
			return op.WriteResult{Code: op.Conflict, Revision: m.epoch}
		}
		m.epoch, m.doc = m.epoch+1, e.doc
		return op.WriteResult{Code: op.OK, Revision: m.epoch}
	}
	return m.write(e.write)
}

func (m *model) open(index uint64, owner string) op.WriteResult {
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

func (m *model) write(w *op.Write) op.WriteResult {
	s := m.sessions[w.Session]
	if s == nil {
		return op.WriteResult{Code: op.SessionExpired}
	}
	if w.Seq == 0 || w.Floor > w.Seq {
		return op.WriteResult{Code: op.Invalid}
	}
	s.used = m.logTime
	s.floor = max(s.floor, w.Floor)
	for seq := range s.answers {
		if seq < s.floor {
			delete(s.answers, seq)
		}
	}
	if w.Seq < s.floor || w.Seq > s.floor+op.MaxWindow {
		return op.WriteResult{Code: op.Unknown}
	}
	if a, ok := s.answers[w.Seq]; ok {
		return a
	}
	a := m.batch(w)
	s.answers[w.Seq] = a
	return a
}

func (m *model) batch(w *op.Write) op.WriteResult {
	res := op.WriteResult{Code: op.OK}
	for _, mu := range w.Mutations {
		v := m.objects[w.Root+"\x00"+mu.Path].version
		ok := mu.Cond.Kind == op.Always || mu.Cond.Kind == op.Absent && v == 0 ||
			mu.Cond.Kind == op.Present && v != 0 || mu.Cond.Kind == op.VersionIs && v == mu.Cond.Version
		item := op.Item{Code: op.OK, Version: v}
		if !ok {
			item.Code, res.Code = op.Conflict, op.Conflict
		}
		res.Items = append(res.Items, item)
	}
	if res.Code == op.OK {
		m.roots[w.Root]++
		for i, mu := range w.Mutations {
			key := w.Root + "\x00" + mu.Path
			switch {
			case mu.Kind == op.Put:
				m.objects[key] = modelObject{m.roots[w.Root], string(mu.Value), mu.Refs}
				res.Items[i].Version = m.roots[w.Root]
			case m.objects[key].version == 0:
				res.Items[i].Code = op.NotFound
			default:
				delete(m.objects, key)
				res.Items[i].Version = 0
			}
		}
	}
	res.Revision = m.roots[w.Root]
	return res
}

// read answers a List or Get from the model, without any limit of bytes.
func (m *model) read(r *op.Read) op.ReadResult {
	res := op.ReadResult{Revision: m.roots[r.Root]}
	if r.Kind == op.Get {
		o, ok := m.objects[r.Root+"\x00"+r.Path]
		switch {
		case r.Version != 0 && r.Version != o.version:
			res.Code = op.Conflict
		case !ok:
			res.Code = op.NotFound
		default:
			res.Code = op.OK
			from := min(r.Offset, uint64(len(o.value)))
			res.Objects = []op.Object{{Path: r.Path, Version: o.version, Size: uint64(len(o.value)), Value: []byte(o.value[from:]), Refs: o.refs}}
		}
		return res
	}
	res.Code = op.OK
	var paths []string
	for key := range m.objects {
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
		res.Objects = append(res.Objects, op.Object{Path: path, Version: o.version, Size: uint64(len(o.value)), Refs: o.refs})
	}
	return res
}

// sameWrite compares results but for the texts.
func sameWrite(got, want op.WriteResult) error {
	got.Text, want.Text = "", ""
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("result %+v, want %+v", got, want)
	}
	return nil
}

func sameRead(got, want op.ReadResult) error {
	got.Text, want.Text = "", ""
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		return fmt.Errorf("read %+v, want %+v", got, want)
	}
	return nil
}
