package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// ErrPayload is what every Parse error wraps: the element is not what it should be.
var ErrPayload = errors.New("malformed store payload")

func badPayload(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrPayload, fmt.Sprintf(format, a...))
}

// begin moves p to its outermost element, which must have this name.
func begin(p *stanza.Parser, name string) error {
	if p.Next() != stanza.Start || string(p.Name()) != name {
		return badPayload("want <%s/>, have <%.40s/>", name, p.Name())
	}
	return nil
}

// fields reads numeric attributes and remembers the first that is wrong.
type fields struct {
	p   *stanza.Parser
	bad string
}

func (f *fields) num(name string, required bool) uint64 {
	v, ok := f.p.Attr(name)
	if !ok {
		if required && f.bad == "" {
			f.bad = "attribute " + name + " is missing"
		}
		return 0
	}
	n, err := parseUint(v)
	if err != nil && f.bad == "" {
		f.bad = fmt.Sprintf("attribute %s=%.20q is no decimal number below 2^64", name, v)
	}
	return n
}

func (f *fields) num32(name string) uint32 {
	n := f.num(name, true)
	if n > 0xFFFF_FFFF && f.bad == "" {
		f.bad = "attribute " + name + " is above 2^32-1"
	}
	return uint32(n)
}

func (f *fields) str(name string) string {
	v, _ := f.p.Attr(name)
	return string(v)
}

func parseUint(b []byte) (uint64, error) {
	if len(b) == 0 || len(b) > 19 {
		return strconv.ParseUint(string(b), 10, 64)
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, strconv.ErrSyntax
		}
		n = n*10 + uint64(c-'0')
	}
	return n, nil
}

// values decodes base64 into one buffer shared by all values of an element.
type values struct{ buf []byte }

func (v *values) decode(b []byte, whole int) ([]byte, error) {
	if v.buf == nil {
		v.buf = make([]byte, 0, base64.StdEncoding.DecodedLen(whole))
	}
	from := len(v.buf)
	out, err := base64.StdEncoding.AppendDecode(v.buf, b)
	if err != nil {
		return nil, err
	}
	if cap(out) == cap(v.buf) {
		v.buf = out
	}
	return out[from:len(out):len(out)], nil
}

// ParseRequest takes in an <ops/> element. A single malformed operation does not
// fail its neighbours: it is returned with Bad saying what is wrong. Values alias
// one buffer made for the request, never el.
func ParseRequest(el []byte) (*Request, error) {
	p := stanza.Parse(el)
	if err := begin(&p, "ops"); err != nil {
		return nil, err
	}
	f := fields{p: &p}
	r := &Request{Epoch: f.num("epoch", false)}
	if f.bad != "" {
		return nil, badPayload("%s", f.bad)
	}
	var vals values
	for {
		switch p.Next() {
		case stanza.EOF:
			return r, nil
		case stanza.Start:
			if err := parseOp(&p, r, &vals, len(el)); err != nil {
				return nil, err
			}
		}
	}
}

func parseOp(p *stanza.Parser, r *Request, vals *values, whole int) error {
	f := fields{p: p}
	tag := f.num("tag", true)
	if f.bad != "" {
		return badPayload("operation without a usable tag: %s", f.bad)
	}
	partition := f.num32("partition")
	switch name := string(p.Name()); name {
	case "open":
		r.Opens = append(r.Opens, Open{tag, partition, f.bad})
		p.Skip()
	case "write":
		r.Writes = append(r.Writes, Write{Tag: tag, Partition: partition})
		w := &r.Writes[len(r.Writes)-1]
		w.Session, w.Seq, w.Floor = op.Session(f.num("session", true)), f.num("seq", true), f.num("floor", true)
		w.Root, w.Bad = f.str("root"), f.bad
		parseMutations(p, w, vals, whole)
	case "get":
		r.Reads = append(r.Reads, Read{Tag: tag, Partition: partition, Read: op.Read{
			Kind: op.Get, Root: f.str("root"), Path: f.str("path"), Offset: f.num("offset", false), Version: f.num("version", false),
		}, Bad: f.bad})
		r.Reads[len(r.Reads)-1].Bad = f.bad
		p.Skip()
	case "list":
		_, after := p.Attr("after")
		rd := op.Read{Kind: op.List, Root: f.str("root"), Prefix: f.str("prefix"), After: f.str("after"), FromStart: !after}
		rd.Limit = int(min(f.num("limit", false), op.MaxListPage))
		r.Reads = append(r.Reads, Read{Tag: tag, Partition: partition, Read: rd, Bad: f.bad})
		p.Skip()
	default:
		// An unknown operation is answered like a write, by its tag.
		r.Writes = append(r.Writes, Write{Tag: tag, Partition: partition, Bad: fmt.Sprintf("unknown operation <%.40s/>; this node speaks %s", name, NS)})
		p.Skip()
	}
	return nil
}

func parseMutations(p *stanza.Parser, w *Write, vals *values, whole int) {
	outside := p.Depth() - 1
	for {
		switch p.Next() {
		case stanza.EOF:
			return
		case stanza.End:
			if p.Depth() == outside {
				return
			}
		case stanza.Start:
			m, bad := parseMutation(p, vals, whole)
			if bad != "" && w.Bad == "" {
				w.Bad = bad
			}
			w.Mutations = append(w.Mutations, m)
		}
	}
}

func parseMutation(p *stanza.Parser, vals *values, whole int) (m op.Mutation, bad string) {
	f := fields{p: p}
	switch string(p.Name()) {
	case "put":
		m.Kind = op.Put
	case "delete":
		m.Kind = op.Delete
	default:
		f.bad = fmt.Sprintf("unknown mutation <%.40s/>", p.Name())
	}
	m.Path = f.str("path")
	if v, ok := p.Attr("if"); ok {
		switch string(v) {
		case "absent":
			m.Cond.Kind = op.Absent
		case "present":
			m.Cond.Kind = op.Present
		default:
			f.bad = fmt.Sprintf("unknown condition if=%.40q", v)
		}
	}
	if _, ok := p.Attr("if-version"); ok {
		m.Cond = op.Condition{Kind: op.VersionIs, Version: f.num("if-version", true)}
	}
	var err error
	if m.Value, m.Refs, err = parseContent(p, vals, whole); err != nil && f.bad == "" {
		f.bad = err.Error()
	}
	return m, f.bad
}

// parseContent reads <v/> and <ref/> up to the end of the element that just started.
func parseContent(p *stanza.Parser, vals *values, whole int) (value []byte, refs []op.Ref, err error) {
	outside := p.Depth() - 1
	for {
		switch p.Next() {
		case stanza.EOF:
			return value, refs, err
		case stanza.End:
			if p.Depth() == outside {
				return value, refs, err
			}
		case stanza.Start:
			switch string(p.Name()) {
			case "v":
				v, e := vals.decode(p.Content(), whole)
				if e != nil {
					err = fmt.Errorf("value is not base64: %w", e)
				}
				value = v
			case "ref":
				f := fields{p: p}
				refs = append(refs, op.Ref{Root: f.str("root"), Path: f.str("path")})
				p.Skip()
			default:
				p.Skip()
			}
		}
	}
}
