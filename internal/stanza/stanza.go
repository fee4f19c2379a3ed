// Package stanza frames, inspects and answers XMPP stanzas as bytes.
//
// Scanner finds one whole first-level element of a stream after another in a
// buffer of the caller's, checks that it is well-formed and within limits, and
// tells where its addresses and its first child lie. Parser walks one such
// element for a handler. The Append functions build answers. Nothing here does
// I/O or keeps a buffer of its own (RFC 6120; design D10).
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
	Child              Span // the whole first child element
	ChildName          Span // its local name
	ChildNS            Span // the value of its namespace declaration; empty when inherited
}

// Get returns the bytes of a part.
func (s *Stanza) Get(sp Span) []byte { return s.Raw[sp.Start:sp.End] }

// AttrString returns an attribute's value unescaped, "" when absent.
func (s *Stanza) AttrString(a Attr) string {
	return string(Unescape(s.Raw[a.Value.Start:a.Value.End]))
}

// IsType compares the type attribute with t.
func (s *Stanza) IsType(t string) bool { return string(s.Get(s.Type.Value)) == t }

// Limits bound what one first-level element may cost. Zero fields take the default.
type Limits struct {
	MaxStanza int // bytes of a first-level element; default 256 KiB
	MaxDepth  int // nested elements; default 128
	MaxAttrs  int // attributes of one element; default 64
	MaxName   int // bytes of an element's or attribute's name; default 256
}

// Defaults of Limits.
const (
	DefaultMaxStanza = 256 << 10
	DefaultMaxDepth  = 128
	DefaultMaxAttrs  = 64
	DefaultMaxName   = 256
)

// WithDefaults returns l with its zero fields replaced by the defaults.
func (l Limits) WithDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.MaxStanza, DefaultMaxStanza)
	set(&l.MaxDepth, DefaultMaxDepth)
	set(&l.MaxAttrs, DefaultMaxAttrs)
	set(&l.MaxName, DefaultMaxName)
	return l
}

// Error is a violation by the sender. Condition is the stream error of RFC 6120,
// section 4.9.3, that ends the stream.
type Error struct {
	Condition string
	Text      string
}

func (e *Error) Error() string { return fmt.Sprintf("stream error %s: %s", e.Condition, e.Text) }

func errNotWellFormed(text string) error { return &Error{"not-well-formed", text} }
func errRestricted(text string) error    { return &Error{"restricted-xml", text} }
func errPolicy(text string) error        { return &Error{"policy-violation", text} }
