package wire

import (
	"math"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// ParseResponse takes in a <results/> element. Each value has memory of its own, so that
// one that is kept keeps no others. Elements and attributes that it does not know are passed
// over; a code that it does not know is op.Unknown.
func ParseResponse(el []byte) (*Response, error) {
	r := reader{p: stanza.Parse(el), apart: true}
	if err := begin(&r.p, NS, "results"); err != nil {
		return nil, err
	}
	var f fields
	out := &Response{Epoch: f.num(&r.p, "epoch", false)}
	out.Time = int64(min(f.num(&r.p, "time", false), math.MaxInt64))
	if f.bad != "" {
		return nil, badPayload("%s", f.bad)
	}
	for r.child(1) {
		var err error
		switch string(r.p.Name()) {
		case "done":
			err = r.done(out)
		case "read":
			err = r.read(out)
		default:
			r.p.Skip()
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *reader) done(out *Response) error {
	a := &r.a
	w := WriteReply{Tag: a.need(nTag, "tag"), WriteResult: op.WriteResult{
		Code: a.code(), Revision: a.num(nRevision), Session: op.Session(a.num(nSession)),
		RetryAfter: a.signed(nRetryAfter), Leader: a.str(tLeader), Text: a.str(tText),
	}}
	bad := a.bad
	for depth := r.p.Depth(); r.child(depth); r.p.Skip() {
		if string(r.p.Name()) != "item" {
			continue
		}
		it := op.Item{Code: a.code(), Version: a.num(nVersion)}
		if a.set(tCount) {
			it.Count = a.integer(tCount, "count")
		}
		w.Items = append(w.Items, it)
		if bad == "" {
			bad = a.bad
		}
	}
	if bad != "" {
		return badPayload("result of a write: %s", bad)
	}
	out.Writes = append(out.Writes, w)
	return nil
}

func (r *reader) read(out *Response) error {
	a := &r.a
	rd := ReadReply{Tag: a.need(nTag, "tag"), Term: a.num(nTerm), ReadResult: op.ReadResult{
		Code: a.code(), Revision: a.num(nRevision), Position: a.num(nPosition), Time: a.signed(nTime),
		Expiring: string(a.raw(tExpiring)) == "1", More: string(a.raw(tMore)) == "1", RetryAfter: a.signed(nRetryAfter), Leader: a.str(tLeader), Text: a.str(tText),
	}}
	if a.bad != "" {
		return badPayload("result of a read: %s", a.bad)
	}
	for depth := r.p.Depth(); r.child(depth); {
		var err error
		switch string(r.p.Name()) {
		case "object":
			err = r.object(&rd)
		case "event":
			err = r.event(&rd)
		default:
			r.p.Skip()
		}
		if err != nil {
			return err
		}
	}
	out.Reads = append(out.Reads, rd)
	return nil
}

func (r *reader) object(rd *ReadReply) error {
	a := &r.a
	o := op.Object{
		Root: a.str(tRoot), Path: a.str(tPath), Version: a.need(nVersion, "version"), Size: a.need(nSize, "size"),
		Expires: a.signed(nExpires), Cursor: a.cursor(),
	}
	if a.bad != "" {
		return badPayload("object %.60q: %s", o.Path, a.bad)
	}
	c, err := r.content(false)
	if err != nil {
		return badPayload("object %.60q: %v", o.Path, err)
	}
	o.Value, o.Refs, o.Key = c.value, c.refs, c.key
	rd.Objects = append(rd.Objects, o)
	return nil
}

func (r *reader) event(rd *ReadReply) error {
	a := &r.a
	e := op.Event{
		Kind: eventKindOf(a.raw(tKind)), Root: a.str(tRoot), Path: a.str(tPath), Position: a.need(nPosition, "position"),
		Revision: a.need(nRevision, "revision"), Superseded: string(a.raw(tSuperseded)) == "1", Size: a.num(nSize),
	}
	if a.bad != "" {
		return badPayload("event of %.60q: %s", e.Path, a.bad)
	}
	c, err := r.content(false)
	if err != nil {
		return badPayload("event of %.60q: %v", e.Path, err)
	}
	e.Value = c.value
	rd.Events = append(rd.Events, e)
	return nil
}
