package state

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// record is one of a history, decoded; it aliases the block.
type record struct {
	entry    uint64
	root     []byte
	revision uint64
	events   []byte
}

// nextRecord reads a record of a block that begins with entry first.
func nextRecord(d *binenc.Reader, first uint64) (r record, ok bool) {
	in := binenc.Reader{B: d.Bytes()}
	r = record{entry: first + in.Uvarint(), root: in.Bytes(), revision: in.Uvarint(), events: in.B}
	return r, !d.Bad && !in.Bad
}

// nextEvent reads the next event of a record, and what it says about an index.
func (r *record) nextEvent(index uint32) (kind op.EventKind, path []byte, flags byte, ok bool) {
	if len(r.events) == 0 {
		return 0, nil, 0, false
	}
	d := binenc.Reader{B: r.events}
	k := d.Byte()
	kind, path = op.EventKind(k&^inIndex), d.Bytes()
	if k&inIndex != 0 {
		for range d.Count(2) {
			if id, f := d.Uint32(), d.Byte(); id == index {
				flags = f
			}
		}
	}
	r.events = d.B
	return kind, path, flags, !d.Bad
}

// past is a part of a history as a read sees it.
type past struct {
	floor    uint64
	begun    bool
	position uint64
	blocks   []block
	table    *bbolt.Bucket
}

// each visits the records behind an entry, until visit is false.
func (h *past) each(since uint64, visit func(*record) bool) error {
	for i := range h.blocks {
		b := &h.blocks[i]
		if b.last <= since {
			continue
		}
		data := b.data
		if data == nil {
			var err error
			if data, err = storedBlock(h.table, b); err != nil {
				return err
			}
		}
		for d := (binenc.Reader{B: data[:b.size]}); len(d.B) > 0; {
			r, ok := nextRecord(&d, b.first)
			if !ok {
				return ErrCorrupt
			}
			if r.entry > since && !visit(&r) {
				return nil
			}
		}
	}
	return nil
}

const textNoIndex = "there is no such index here; `ringctl index list` tells which there are"

const textCompacted = "the history does not reach back that far; read the present state and go on from its position"

// changesRead answers a Changes read, without waiting.
func (p *Partition) changesRead(r *op.Read) (op.ReadResult, error) {
	f := feedPage{p: p, r: r, limit: pageLimit(r), room: p.store.opt.MaxReadBytes}
	p.mu.RLock()
	h := past{floor: p.history.floor, begun: p.history.begun || p.untouched(), position: p.pos.index}
	for _, b := range p.history.blocks {
		if b.last > r.Since {
			h.blocks = append(h.blocks, *b)
		}
	}
	f.res = op.ReadResult{Code: op.OK, Position: max(r.Since, p.pos.index), Floor: h.floor, Time: p.pos.logTime}
	if r.Index != "" {
		i, code, text := p.readyIndex(r)
		if code != 0 {
			f.refuse(code, text)
			p.mu.RUnlock()
			return f.res, nil
		}
		f.id = i.ID
		h.floor = max(h.floor, i.since)
	}
	tx, err := p.store.begin()
	var revision uint64
	var known bool
	if r.ByRevision {
		revision, known = p.overlaidRevision([]byte(r.Root))
	}
	p.mu.RUnlock()
	if err != nil {
		return op.ReadResult{}, err
	}
	defer tx.Rollback()
	if b := tx.Bucket(p.key); b != nil {
		h.table = b.Bucket(historyBucket)
		if r.ByRevision && !known {
			if revision, err = storedRevision(b.Bucket(rootsBucket), []byte(r.Root)); err != nil {
				return op.ReadResult{}, err
			}
		}
	}
	if r.ByRevision {
		err = f.byRevision(&h, revision)
	} else {
		err = f.byPosition(&h)
	}
	if f.err != nil {
		err = f.err
	}
	if p.store.opt.Faults.PositionByClock {
		f.res.Position = uint64(time.Now().UnixMilli())
	}
	return f.res, err
}

// feedPage collects the events of a Changes read.
type feedPage struct {
	p       *Partition
	r       *op.Read
	id      uint32 // of the index
	limit   int
	room    int
	skipped int
	res     op.ReadResult
	err     error
}

func (f *feedPage) refuse(code op.Code, text string) {
	f.res = op.ReadResult{Code: code, Position: f.res.Position, Time: f.res.Time, Text: text}
}

func (f *feedPage) byPosition(h *past) error {
	if f.r.Since < h.floor || !h.begun && f.r.Since < h.position {
		f.refuse(op.Compacted, textCompacted)
		return nil
	}
	return h.each(f.r.Since, f.record)
}

// byRevision begins where the root had the revision. The records of a root have
// all its revisions, so the first one that is there tells whether any is missing.
func (f *feedPage) byRevision(h *past, revision uint64) error {
	f.res.Revision = revision
	next := f.r.SinceRevision + 1
	complete := revision < next
	err := h.each(h.floor, func(r *record) bool {
		if string(r.root) != f.r.Root {
			return true
		}
		if !complete && r.revision > next {
			return false
		}
		complete = true
		return r.revision < next || f.record(r)
	})
	if err == nil && !complete {
		f.refuse(op.Compacted, textCompacted)
	}
	return err
}

// record adds what the read wants of a record; it is false when the page is full.
// A page ends in front of an entry, or within one that is larger than a page.
func (f *feedPage) record(r *record) bool {
	if !f.wants(r.root) {
		return true
	}
	n := len(f.res.Events)
	whole := n == 0 || f.res.Events[n-1].Position < r.entry
	for at := *r; ; {
		kind, path, flags, ok := at.nextEvent(f.id)
		if !ok {
			return true
		}
		if f.r.Root != "" && !bytes.HasPrefix(path, []byte(f.r.Prefix)) {
			continue
		}
		if f.r.Index != "" {
			if kind == op.Written && flags == wasIn {
				kind = op.Left
			}
			if flags == 0 {
				continue
			}
		}
		if f.skipped < f.r.Skip && f.first(r) {
			f.skipped++
			continue
		}
		size := len(r.root) + len(path)
		if len(f.res.Events) > 0 && (size > f.room || len(f.res.Events) >= f.limit && whole) {
			f.cut(r.entry)
			return false
		}
		whole = false
		f.room -= size
		f.add(op.Event{Kind: kind, Root: string(r.root), Path: string(path), Position: r.entry, Revision: r.revision})
		if f.err != nil {
			return false
		}
	}
}

// first tells whether a record belongs to what the read leaves the beginning out of.
func (f *feedPage) first(r *record) bool {
	if f.r.ByRevision {
		return r.revision == f.r.SinceRevision+1
	}
	return r.entry == f.r.Since+1
}

// cut ends the page in front of an entry, whose events are left out unless there
// are no others.
func (f *feedPage) cut(entry uint64) {
	f.res.More, f.res.Position = true, entry-1
	if f.res.Events[0].Position == entry {
		return
	}
	n := slices.IndexFunc(f.res.Events, func(e op.Event) bool { return e.Position == entry })
	if n > 0 {
		f.res.Events = f.res.Events[:n]
	}
}

func (f *feedPage) wants(root []byte) bool {
	if f.r.Root != "" {
		return string(root) == f.r.Root
	}
	return strings.HasPrefix(string(root), f.r.Prefix)
}

// add appends the event with its value, as far as there is room.
func (f *feedPage) add(e op.Event) {
	if f.r.Values && (e.Kind == op.Written || e.Kind == op.Left) {
		got, err := f.p.get(&op.Read{Kind: op.Get, Root: e.Root, Path: e.Path, Version: e.Revision})
		if err != nil {
			f.err = err
		} else if got.Code == op.OK {
			o := &got.Objects[0]
			e.Size, e.Value = o.Size, o.Value[:min(len(o.Value), max(f.room, 0))]
			f.room -= len(e.Value)
		} else {
			e.Superseded = true
		}
	}
	f.res.Events = append(f.res.Events, e)
}

// pageLimit is how many objects or events a page has at most.
func pageLimit(r *op.Read) int {
	if r.Limit <= 0 || r.Limit > op.MaxListPage {
		return op.MaxListPage
	}
	return r.Limit
}
