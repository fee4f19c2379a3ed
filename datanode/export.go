package datanode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/replication/state"
)

// Bounds of exports.
const (
	maxExports   = 2                // at a time
	exportLease  = 60 * time.Second // without a question
	exportPage   = 130 << 10        // bytes of XML that the objects of a page take
	exportPiece  = 48 << 10         // bytes of a value, or about that of references, in a piece
	exportAhead  = 60_000           // how far ahead of the clock a cut may be, in milliseconds
	exportsInRow = 64               // questions that wait
)

var (
	errExportGone = errors.New("no such export here: it was given up because nobody asked for a minute, or the node was started anew; begin again")
	errExportBusy = errors.New("two exports are under way at this node; wait for one of them")
)

// exports reads partitions as of one log time for operators. Its goroutine answers
// one question after the other and gives up what nobody asks about.
type exports struct {
	n     *Node
	tasks chan func()

	mu  sync.Mutex // guards what follows; pictures arrive from appliers
	all map[string]*export
}

// export is one cut of some partitions.
type export struct {
	time     int64
	asked    time.Time
	waiting  map[uint32]bool
	failed   map[uint32]string
	astray   []uint32 // whose pictures are of a later time
	pictures map[uint32]*state.Picture
	over     bool
}

func (e *exports) init(n *Node) {
	e.n, e.tasks, e.all = n, make(chan func(), exportsInRow), make(map[string]*export)
}

// run answers until ctx ends, and then gives everything back: the engine closes
// after that.
func (e *exports) run(ctx context.Context) {
	look := time.NewTicker(exportLease / 4)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			e.sweep(time.Now().Add(2 * exportLease))
			return
		case <-look.C:
			e.sweep(time.Now())
		case task := <-e.tasks:
			task()
		}
	}
}

// sweep gives up the exports whose lease has ended.
func (e *exports) sweep(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, x := range e.all {
		if now.Sub(x.asked) > exportLease {
			x.end()
			delete(e.all, id)
		}
	}
}

func (x *export) end() {
	x.over = true
	for p, v := range x.pictures {
		v.Close()
		delete(x.pictures, p)
	}
}

// ask takes a question; false when too many wait.
func (e *exports) ask(arg string, answer func(adminxml.ExportAnswer, error)) bool {
	var q adminxml.ExportRequest
	if err := json.Unmarshal([]byte(arg), &q); err != nil {
		answer(adminxml.ExportAnswer{}, fmt.Errorf("export: %w", err))
		return true
	}
	select {
	case e.tasks <- func() { answer(e.do(&q, time.Now())) }:
		return true
	default:
		return false
	}
}

func (e *exports) do(q *adminxml.ExportRequest, now time.Time) (adminxml.ExportAnswer, error) {
	if q.Do == adminxml.ExportBegin {
		return e.begin(q, now)
	}
	e.mu.Lock()
	x := e.all[q.ID]
	if x == nil {
		e.mu.Unlock()
		if q.Do == adminxml.ExportEnd {
			return adminxml.ExportAnswer{}, nil
		}
		return adminxml.ExportAnswer{}, errExportGone
	}
	defer e.mu.Unlock()
	x.asked = now
	switch q.Do {
	case adminxml.ExportPoll:
		return x.progress(), nil
	case adminxml.ExportPage:
		if q.Partition == nil {
			return adminxml.ExportAnswer{}, errors.New("export: a page names its partition")
		}
		return x.page(*q.Partition, q.From)
	case adminxml.ExportEnd:
		if q.Partition == nil {
			x.end()
			delete(e.all, q.ID)
		} else if v := x.pictures[*q.Partition]; v != nil {
			v.Close()
			delete(x.pictures, *q.Partition)
		}
		return adminxml.ExportAnswer{}, nil
	}
	return adminxml.ExportAnswer{}, fmt.Errorf("export: unknown %q", q.Do)
}

func (x *export) progress() adminxml.ExportAnswer {
	return adminxml.ExportAnswer{Waiting: len(x.waiting), Failed: x.failed, Astray: x.astray}
}

// begin asks for the pictures. The same question again is answered like poll.
func (e *exports) begin(q *adminxml.ExportRequest, now time.Time) (adminxml.ExportAnswer, error) {
	e.mu.Lock()
	x := e.all[q.ID]
	switch {
	case x != nil:
		x.asked = now
		defer e.mu.Unlock()
		return x.progress(), nil
	case len(e.all) >= maxExports:
		e.mu.Unlock()
		return adminxml.ExportAnswer{}, errExportBusy
	case q.ID == "" || len(q.ID) > 64 || q.Time <= 0:
		e.mu.Unlock()
		return adminxml.ExportAnswer{}, errors.New("export: it has an id of up to 64 bytes, and a time")
	case q.Time > now.UnixMilli()+exportAhead:
		e.mu.Unlock()
		ahead := time.Duration(q.Time-now.UnixMilli()) * time.Millisecond
		return adminxml.ExportAnswer{}, fmt.Errorf("export: the cut is to be %v ahead of this machine's clock: set the machines' clocks right", ahead.Round(time.Second))
	}
	x = &export{
		time: q.Time, asked: now,
		waiting: make(map[uint32]bool), failed: make(map[uint32]string), pictures: make(map[uint32]*state.Picture),
	}
	e.all[q.ID] = x
	for _, p := range q.Partitions {
		x.waiting[p] = true
	}
	e.mu.Unlock()
	for _, p := range q.Partitions {
		if err := e.n.engine.CutAt(p, q.Time, func(v *state.Picture, err error) { e.arrived(x, p, v, err) }); err != nil {
			e.arrived(x, p, nil, err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return x.progress(), nil
}

// arrived takes a picture, or why there is none.
func (e *exports) arrived(x *export, partition uint32, v *state.Picture, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(x.waiting, partition)
	switch {
	case err != nil:
		x.failed[partition] = err.Error()
	case x.over || x.pictures[partition] != nil:
		v.Close()
	default:
		x.pictures[partition] = v
		if v.Time() > x.time {
			x.astray = append(x.astray, partition)
		}
	}
}

// page reads objects, about exportPage bytes of them.
func (x *export) page(partition uint32, from *adminxml.Cursor) (a adminxml.ExportAnswer, err error) {
	v := x.pictures[partition]
	if v == nil {
		return a, fmt.Errorf("export: there is no picture of partition %d here", partition)
	}
	var at *state.Place
	within := false
	if from != nil {
		at, within = &state.Place{Root: from.Root, Path: from.Path}, from.Within
	}
	room := exportPage
	var done *adminxml.Cursor
	err = v.Objects(at, !within, x.time, func(o *op.Object) bool {
		cur := adminxml.Cursor{Root: o.Root, Path: o.Path}
		if within && from.Root == o.Root && from.Path == o.Path {
			cur = *from
		}
		for {
			piece, next := pieceOf(o, cur)
			size := pieceSize(&piece)
			if size > room && len(a.Objects) > 0 {
				a.Next = done
				return false
			}
			room -= size
			a.Objects = append(a.Objects, piece)
			done, cur = &next, next
			if !piece.Part {
				return true
			}
		}
	})
	if errors.Is(err, state.ErrCorrupt) {
		err = fmt.Errorf("partition %d here is damaged and is fetched from another replica now; begin again in a moment: %w", partition, err)
	}
	return a, err
}

// pieceOf gives the piece of an object that begins at cur, and where the next one
// begins. The object is valid during the call only.
func pieceOf(o *op.Object, cur adminxml.Cursor) (adminxml.Piece, adminxml.Cursor) {
	p := adminxml.Piece{Root: o.Root, Path: o.Path, Version: o.Version, Expires: o.Expires}
	from := min(cur.Value, len(o.Value))
	to := min(from+exportPiece, len(o.Value))
	p.Value = bytes.Clone(o.Value[from:to])
	cur.Value = to
	for room := exportPiece - (to - from); to == len(o.Value) && cur.Refs < len(o.Refs); cur.Refs++ {
		r := o.Refs[cur.Refs]
		if room -= len(r.Root) + len(r.Path) + 32; room < 0 && len(p.Refs)+len(p.Value) > 0 {
			break
		}
		p.Refs = append(p.Refs, [2]string{r.Root, r.Path})
	}
	p.Part = to < len(o.Value) || cur.Refs < len(o.Refs)
	cur.Within = p.Part
	return p, cur
}

// pieceSize is what a piece takes in the answer.
func pieceSize(p *adminxml.Piece) int {
	b, err := json.Marshal(p)
	if err != nil {
		return 0 // strings, numbers and bytes: nothing in it can fail to encode
	}
	return stanza.EscapedLen(string(b)) + 1
}
