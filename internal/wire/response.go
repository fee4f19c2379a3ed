package wire

import (
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// ParseResponse takes in a <results/> element. Values alias one buffer made for
// the response, never el. Elements and attributes that it does not know are passed
// over; a code that it does not know is op.Unknown.
func ParseResponse(el []byte) (*Response, error) {
	r := reader{p: stanza.Parse(el), whole: len(el)}
	if err := begin(&r.p, NS, "results"); err != nil {
		return nil, err
	}
	var f fields
	out := &Response{Epoch: f.num(&r.p, "epoch", false)}
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
		Code: a.code(), Revision: a.num[nRevision], Session: op.Session(a.num[nSession]),
		Leader: a.str(tLeader), Text: a.str(tText),
	}}
	bad := a.bad
	for depth := r.p.Depth(); r.child(depth); r.p.Skip() {
		if string(r.p.Name()) != "item" {
			continue
		}
		w.Items = append(w.Items, op.Item{Code: a.code(), Version: a.num[nVersion]})
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
	rd := ReadReply{Tag: a.need(nTag, "tag"), ReadResult: op.ReadResult{
		Code: a.code(), Revision: a.num[nRevision], More: a.set[tMore] && string(a.text[tMore]) == "1",
		Leader: a.str(tLeader), Text: a.str(tText),
	}}
	if a.bad != "" {
		return badPayload("result of a read: %s", a.bad)
	}
	for depth := r.p.Depth(); r.child(depth); {
		if string(r.p.Name()) != "object" {
			r.p.Skip()
			continue
		}
		o := op.Object{Path: a.str(tPath), Version: a.need(nVersion, "version"), Size: a.need(nSize, "size")}
		if a.bad != "" {
			return badPayload("object %.60q: %s", o.Path, a.bad)
		}
		var err error
		if o.Value, o.Refs, err = r.content(false); err != nil {
			return badPayload("object %.60q: %v", o.Path, err)
		}
		rd.Objects = append(rd.Objects, o)
	}
	out.Reads = append(out.Reads, rd)
	return nil
}
