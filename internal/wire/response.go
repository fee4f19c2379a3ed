package wire

import (
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// ParseResponse takes in a <results/> element. Values alias one buffer made for
// the response, never el. Elements that it does not know are passed over.
func ParseResponse(el []byte) (*Response, error) {
	p := stanza.Parse(el)
	if err := begin(&p, "results"); err != nil {
		return nil, err
	}
	f := fields{p: &p}
	r := &Response{Epoch: f.num("epoch", false)}
	var vals values
	for {
		switch p.Next() {
		case stanza.EOF:
			return r, nil
		case stanza.Start:
			var err error
			switch string(p.Name()) {
			case "done":
				err = parseWriteReply(&p, r)
			case "read":
				err = parseReadReply(&p, r, &vals, len(el))
			default:
				p.Skip()
			}
			if err != nil {
				return nil, err
			}
		}
	}
}

func parseWriteReply(p *stanza.Parser, r *Response) error {
	f := fields{p: p}
	code, _ := p.Attr("code")
	w := WriteReply{Tag: f.num("tag", true)}
	w.Code, w.Revision, w.Session = codeOf(code), f.num("revision", false), op.Session(f.num("session", false))
	w.Leader, w.Text = f.str("leader"), f.str("text")
	outside := p.Depth() - 1
	for ev := p.Next(); ev != stanza.EOF && (ev != stanza.End || p.Depth() != outside); ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		if string(p.Name()) == "item" {
			c, _ := p.Attr("code")
			w.Items = append(w.Items, op.Item{Code: codeOf(c), Version: f.num("version", false)})
		}
		p.Skip()
	}
	if f.bad != "" {
		return badPayload("%s", f.bad)
	}
	r.Writes = append(r.Writes, w)
	return nil
}

func parseReadReply(p *stanza.Parser, r *Response, vals *values, whole int) error {
	f := fields{p: p}
	code, _ := p.Attr("code")
	_, more := p.Attr("more")
	rd := ReadReply{Tag: f.num("tag", true)}
	rd.Code, rd.Revision, rd.More = codeOf(code), f.num("revision", false), more
	rd.Leader, rd.Text = f.str("leader"), f.str("text")
	outside := p.Depth() - 1
	for ev := p.Next(); ev != stanza.EOF && (ev != stanza.End || p.Depth() != outside); ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		if string(p.Name()) != "object" {
			p.Skip()
			continue
		}
		o := op.Object{Path: f.str("path"), Version: f.num("version", true), Size: f.num("size", true)}
		var err error
		if o.Value, o.Refs, err = parseContent(p, vals, whole); err != nil {
			return badPayload("object %.60q: %v", o.Path, err)
		}
		rd.Objects = append(rd.Objects, o)
	}
	if f.bad != "" {
		return badPayload("%s", f.bad)
	}
	r.Reads = append(r.Reads, rd)
	return nil
}
