package stanza

import (
	"bytes"
	"iter"
)

// Element is an element directly inside a stanza.
type Element struct {
	NS   []byte // empty where it is inherited from the stream: jabber:client
	Name []byte // local name
	Span Span   // the whole element in Stanza.Raw
}

// Elements are the elements directly inside the stanza, in order.
func (s *Stanza) Elements() iter.Seq[Element] {
	return func(yield func(Element) bool) {
		p := Parse(s.Raw)
		p.Next()
		for ev := p.Next(); ev != EOF; ev = p.Next() {
			if ev != Start {
				continue
			}
			c := Element{NS: p.NS(), Name: p.Name(), Span: Span{Start: p.start}}
			p.Skip()
			c.Span.End = p.pos
			if !yield(c) {
				return
			}
		}
	}
}

// Without returns a copy of the stanza without the children that drop is true for; Raw itself if
// there are none.
func (s *Stanza) Without(drop func(Element) bool) []byte {
	out, pos := s.Raw, 0
	for c := range s.Elements() {
		if !drop(c) {
			continue
		}
		if pos == 0 {
			out = make([]byte, 0, len(s.Raw))
		}
		out = append(out, s.Raw[pos:c.Span.Start]...)
		pos = c.Span.End
	}
	if pos == 0 {
		return out
	}
	return append(out, s.Raw[pos:]...)
}

// AppendInside appends raw, one whole element that a Scanner accepted, with more behind its present
// content.
func AppendInside(dst, raw, more []byte) []byte {
	at := bytes.LastIndexByte(raw, '<')
	if at > 0 {
		return append(append(append(dst, raw[:at]...), more...), raw[at:]...)
	}
	nameEnd := 1 // an empty element: no '<' but its own
	for nameEnd < len(raw) && nameClass[raw[nameEnd]] != 0 {
		nameEnd++
	}
	slash := bytes.LastIndexByte(raw, '/')
	dst = append(append(dst, raw[:slash]...), '>')
	dst = append(append(dst, more...), "</"...)
	return append(append(dst, raw[1:nameEnd]...), '>')
}
