// Package stanza frames, inspects and answers XMPP stanzas as bytes.
//
// Scanner finds one whole first-level element of a stream after another in a
// buffer of the caller's, checks that it is well-formed and within limits, and
// tells where its addresses and its first child lie. Parser walks one such
// element for a handler. The Append functions build answers. Nothing here does
// I/O or keeps a buffer of its own (RFC 6120).
package stanza

import "fmt"

// Kind is what a first-level element is.
type Kind uint8

// The kinds of first-level elements.
const (
	// Nonza is any first-level element that is no stanza (XEP-0360).
	Nonza Kind = iota
	Message
	Presence
	IQ
	// StreamEnd is the closing tag of the stream (RFC 6120, section 4.4).
	StreamEnd
)

// String is the kind's name for logs.
func (k Kind) String() string {
	switch k {
	case Nonza:
		return "nonza"
	case StreamEnd:
		return "end of stream"
	}
	return k.element()
}

// element is the name of the stanza's element.
func (k Kind) element() string {
	switch k {
	case Presence:
		return "presence"
	case IQ:
		return "iq"
	}
	return "message"
}

// Span is a range of offsets in Stanza.Raw. The zero Span is an absent part.
type Span struct{ Start, End int }

// Empty tells an absent part.
func (s Span) Empty() bool { return s.End <= s.Start }

// Attr is where an attribute lies. Whole begins with the white space before the
// name and ends behind the closing quote, so cutting it out drops the attribute.
type Attr struct{ Whole, Value Span }

// Present tells whether the element has the attribute, be it empty.
func (a Attr) Present() bool { return a.Whole.End > a.Whole.Start }

// Stanza is one first-level element as the Scanner found it.
type Stanza struct {
	Raw  []byte // the whole element; aliases the caller's buffer
	Kind Kind
	Name Span // the element's name as written
	// NameEnd is the offset right behind the name, where an attribute can be inserted.
	NameEnd            int
	To, From, Type, ID Attr
	Children           int  // child elements
	Child              Span // the whole first child element
	ChildName          Span // its local name
	// ChildNS is the value of the namespace declaration on it or of its prefix, as
	// written; absent when inherited. ChildIs resolves references in it.
	ChildNS Span
}

// Get returns the bytes of a part.
func (s *Stanza) Get(sp Span) []byte { return s.Raw[sp.Start:sp.End] }

// AttrString returns an attribute's value unescaped, "" when absent.
func (s *Stanza) AttrString(a Attr) string {
	return string(unescapeValue(s.Raw[a.Value.Start:a.Value.End]))
}

// IsType compares the type attribute with t; an absent one is "".
func (s *Stanza) IsType(t string) bool { return sameText(s.Get(s.Type.Value), t) }

// ChildIs tells whether the first child has this namespace, declared on it or by
// its prefix, and this local name.
func (s *Stanza) ChildIs(ns, name string) bool {
	return string(s.Get(s.ChildName)) == name && sameText(s.Get(s.ChildNS), ns)
}

// Error is a violation by the sender. Condition is the stream error of RFC 6120,
// section 4.9.3, that ends the stream.
type Error struct {
	Condition string
	Text      string // for people: what is wrong
}

// Error implements the error interface.
func (e *Error) Error() string { return fmt.Sprintf("stream error %s: %s", e.Condition, e.Text) }
