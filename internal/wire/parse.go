package wire

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"math"

	"github.com/rosterdb/rosterdb/internal/b64"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// ErrPayload is what every Parse error wraps: the element is not what it should be.
var ErrPayload = errors.New("malformed store payload")

func badPayload(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrPayload, fmt.Sprintf(format, a...))
}

// begin moves p to its outermost element, which must be this one.
func begin(p *stanza.Parser, ns, name string) error {
	if p.Next() != stanza.Start || string(p.Name()) != name || string(p.NS()) != ns {
		return badPayload("want <%s xmlns='%s'/>, have <%.40s xmlns='%.60s'/>", name, ns, p.Name(), p.NS())
	}
	return nil
}

// reader walks one element. Its values share one buffer.
type reader struct {
	p     stanza.Parser
	a     attrs
	whole int // bytes of the element
	vals  []byte
	// memory is what vals lies in.
	memory []byte
	apart  bool // each value has memory of its own, instead of a piece of vals
}

// child moves to the next child element of the store's namespace at the depth
// given (that of the parent) and reads its attributes; false at the parent's end.
func (r *reader) child(depth int) bool {
	for {
		switch r.p.Next() {
		case stanza.EOF:
			return false
		case stanza.End:
			if r.p.Depth() < depth {
				return false
			}
		case stanza.Start:
			if string(r.p.NS()) == NS {
				r.a.read(&r.p)
				return true
			}
			r.p.Skip()
		}
	}
}

// leaf moves behind the end of the element of that name that just started, whose
// attributes have been used: what there may be in it is of no namespace of the store's.
// It says what is wrong otherwise.
func (r *reader) leaf(name string) (bad string) {
	for depth := r.p.Depth(); r.child(depth); r.p.Skip() {
		if bad == "" {
			bad = fmt.Sprintf("unknown element <%.40s/> in <%s/>", r.p.Name(), name)
		}
	}
	return bad
}

// textOnly returns the text of the element that just started, without the blanks around
// it, and moves behind its end. A child element, of whatever namespace, is an error: the
// text would be put together from what is before and behind it.
func textOnly(p *stanza.Parser) ([]byte, error) {
	text, only := p.TextOnly()
	if !only {
		return nil, badPayload("an element stands where there is only text")
	}
	return bytes.TrimSpace(text), nil
}

// value decodes the content of the element that just started; nil when it is empty.
func (r *reader) value() ([]byte, error) {
	b, err := textOnly(&r.p)
	if err != nil {
		return nil, err
	}
	if r.apart {
		return b64.AppendDecode(nil, b)
	}
	if r.vals == nil {
		if most := base64.StdEncoding.DecodedLen(r.whole); cap(r.memory) < most {
			r.memory = make([]byte, 0, most)
		}
		r.vals = r.memory[:0]
	}
	from := len(r.vals)
	out, err := b64.AppendDecode(r.vals, b)
	if err != nil {
		return nil, err
	}
	// The whole buffer has room for all values: out is never another one.
	r.vals = out
	if len(out) == from {
		return nil, nil
	}
	return out[from:len(out):len(out)], nil
}

// ParseRequest takes in an <ops/> element. A single malformed operation does not
// fail its neighbours: it is returned with Bad saying what is wrong, under tag 0 if
// it has none. Values alias one buffer made for the request, never el.
func ParseRequest(el []byte) (*Request, error) {
	q, _, err := ParseRequestIn(nil, el)
	return q, err
}

// ParseRequestIn is ParseRequest with the values in the memory given, or in more if they
// have no room there. That memory is returned: once the values are not needed any more it can be given again.
func ParseRequestIn(memory, el []byte) (*Request, []byte, error) {
	r := reader{p: stanza.Parse(el), whole: len(el), memory: memory}
	if err := begin(&r.p, NS, "ops"); err != nil {
		return nil, memory, err
	}
	var f fields
	q := &Request{Epoch: f.num(&r.p, "epoch", false)}
	q.Time = int64(min(f.num(&r.p, "time", false), math.MaxInt64))
	if f.bad != "" {
		return nil, memory, badPayload("%s", f.bad)
	}
	for r.child(1) {
		r.operation(q)
	}
	return q, r.memory, nil
}

func (r *reader) operation(q *Request) {
	a := &r.a
	tag := a.need(nTag, "tag")
	if string(r.p.Name()) == "cancel" && a.bad == "" {
		bad := r.leaf("cancel")
		if bad == "" {
			q.Cancels = append(q.Cancels, tag)
			return
		}
		q.Writes = append(q.Writes, Write{Tag: tag, Bad: bad})
		return
	}
	partition := a.need(nPartition, "partition")
	if partition > math.MaxUint32 {
		a.fail("attribute partition is above 2^32-1")
	}
	part := uint32(partition)
	switch string(r.p.Name()) {
	case "open":
		bad := a.bad // leaf reads others to the same place
		bad = cmp.Or(bad, r.leaf("open"))
		q.Opens = append(q.Opens, Open{tag, part, bad})
	case "write":
		w := Write{Tag: tag, Partition: part, Write: op.Write{
			Root: a.str(tRoot), Session: op.Session(a.need(nSession, "session")),
			Seq: a.need(nSeq, "seq"), Floor: a.need(nFloor, "floor"),
		}}
		if a.has(nIfRevision) {
			w.RootCond = op.Condition{Kind: op.VersionIs, Version: a.num(nIfRevision)}
		}
		w.Bad = a.bad
		r.mutations(&w)
		q.Writes = append(q.Writes, w)
	case "settle":
		s := op.Settle{Session: op.Session(a.need(nSession, "session")), Seq: a.need(nSeq, "seq")}
		bad := a.bad
		bad = cmp.Or(bad, r.leaf("settle"))
		q.Settles = append(q.Settles, Settle{Tag: tag, Partition: part, Settle: s, Bad: bad})
	case "get", "list", "scan", "query", "changes":
		rd := Read{Tag: tag, Partition: part}
		r.question(&rd)
		q.Reads = append(q.Reads, rd)
	default:
		// An unknown operation is answered like a write, by its tag.
		a.fail("unknown operation <%.40s/>; this node speaks %s", r.p.Name(), NS)
		q.Writes = append(q.Writes, Write{Tag: tag, Partition: part, Bad: a.bad})
		r.p.Skip()
	}
}

// mutations reads the children of a <write/>. It keeps no more than what Check
// needs to see that there are too many: an empty one takes few bytes on the wire
// and many in memory.
func (r *reader) mutations(w *Write) {
	for depth := r.p.Depth(); r.child(depth); {
		if len(w.Mutations) > op.MaxMutations {
			r.p.Skip()
			continue
		}
		m := r.mutation()
		if r.a.bad != "" && w.Bad == "" {
			w.Bad = r.a.bad
		}
		w.Mutations = append(w.Mutations, m)
	}
}

func (r *reader) mutation() op.Mutation {
	a := &r.a
	m := op.Mutation{Path: a.str(tPath), TTL: a.signed(nTTL)}
	switch string(r.p.Name()) {
	case "put":
		m.Kind = op.Put
	case "delete":
		m.Kind = op.Delete
	case "add":
		m.Kind, m.Delta = op.Add, a.integer(tDelta, "delta")
	case "check":
		m.Kind = op.Check
	default:
		a.fail("unknown mutation <%.40s/>; this node speaks %s", r.p.Name(), NS)
	}
	if a.has(nTTL) && m.TTL == 0 {
		a.fail("ttl='0'; leave it out for an object that lives for ever")
	}
	m.Cond = a.condition()
	bad := a.bad // the children's attributes go to the same place
	c, err := r.content(true)
	if err != nil && bad == "" {
		bad = err.Error()
	}
	m.Value, m.Refs, a.bad = c.value, c.refs, bad
	return m
}

// condition reads if and if-version.
func (a *attrs) condition() (c op.Condition) {
	switch {
	case a.has(nIfVersion) && a.set(tIf):
		a.fail("mutation with both if and if-version; it can have one")
	case a.has(nIfVersion):
		c = op.Condition{Kind: op.VersionIs, Version: a.num(nIfVersion)}
	case !a.set(tIf):
	case string(a.raw(tIf)) == "absent":
		c.Kind = op.Absent
	case string(a.raw(tIf)) == "present":
		c.Kind = op.Present
	default:
		a.fail("unknown condition if=%.40q; there are absent and present", a.raw(tIf))
	}
	return c
}

// content is what an object, a mutation or an event has inside.
type content struct {
	value []byte
	refs  []op.Ref
	key   op.Scalar // of an object in an answer
}

// content reads <v/>, <ref/> and <key/> up to the end of the element that just
// started. A strict reader refuses what it does not know, others pass over it.
func (r *reader) content(strict bool) (c content, err error) {
	note := func(format string, a ...any) {
		if err == nil {
			err = fmt.Errorf(format, a...)
		}
	}
	have := false
	for depth := r.p.Depth(); r.child(depth); {
		switch name := string(r.p.Name()); {
		case name == "v":
			v, e := r.value()
			if e != nil {
				note("value is not base64: %w", e)
			}
			if have {
				note("object with two values")
			}
			c.value, have = v, true
		case name == "ref":
			if len(c.refs) <= op.MaxRefs {
				c.refs = append(c.refs, op.Ref{Root: r.a.str(tRoot), Path: r.a.str(tPath)})
			}
			if bad := r.leaf("ref"); bad != "" && strict {
				note("%s", bad)
			}
		case strict:
			note("unknown element <%.40s/> in a mutation", name)
			r.p.Skip()
		default:
			if name == "key" {
				c.key = r.a.scalar()
				if r.a.bad != "" {
					note("key: %s", r.a.bad)
				}
			}
			r.p.Skip()
		}
	}
	return c, err
}
