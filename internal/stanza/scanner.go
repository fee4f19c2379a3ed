package stanza

import "fmt"

// state is what the scanner stands in front of, or in the middle of.
type state uint8

const (
	between  state = iota // white space or the next first-level element
	atOpen                // '<'
	inTag                 // behind the name or an attribute of a start tag
	atEquals              // behind the name of an attribute
	atQuote               // behind the '=' of an attribute
	inValue               // inside the value of an attribute
	atSlash               // behind the '/' of an empty element
	inText                // character data of an element
	inCDATA               // behind "<![CDATA["
	inEndTag              // behind the name of an end tag
)

// flow is what a step asks the scanner's loop to do.
type flow uint8

const (
	again  flow = iota // take the next step
	more               // the bytes are used up
	done               // the first-level element is whole
	failed             // Scanner.err is set
)

// span is a Span in less memory: a Scanner lives as long as its connection.
type span struct{ start, end int32 }

// qname is a qualified name; colon is 0 where it has no prefix, else the offset of ':'.
type qname struct{ start, end, colon int32 }

type attribute struct {
	name  qname
	whole int32 // where the white space before it starts
	value span
}

// frame is an open element.
type frame struct {
	name     span
	bindings int32 // how many prefixes are declared outside of it
}

// binding is a declared prefix.
type binding struct{ prefix, uri span }

// Scanner finds first-level elements one after another. It keeps offsets only,
// never bytes, so the caller owns the buffer and may move it between calls. Each
// byte is looked at once however small the pieces in which it arrives, except
// those of an unfinished name, reference or character (at most MaxName bytes).
// Its memory is bounded by its Limits. Not safe for concurrent use.
type Scanner struct {
	lim   Limits
	state state
	quote byte // of the value it is inside of
	pos   int  // bytes of the current element looked at
	start int  // of the current tag
	gap   int  // end of what stands before the next attribute
	name  qname
	attrs []attribute // of the current tag
	stack []frame
	binds []binding
	st    Stanza
	err   *Error
	// header: the first start tag opens the stream itself, so nothing is declared yet.
	header bool
}

// NewScanner returns a Scanner for the inside of a stream whose header declared
// the prefix "stream" and the default namespace of stanzas.
func NewScanner(l Limits) *Scanner { return &Scanner{lim: l.WithDefaults()} }

// Next looks for one whole first-level element at the start of buf. buf begins
// where the last call's n ended and differs from what was left of the buffer of
// the last call only by bytes appended to it.
//
// It returns the element and the bytes that it took, white space before it
// included. A nil Stanza means that more bytes are needed; n may then be above
// zero when white space (a keep-alive) was used up. The Stanza is valid until the
// next call. An error is an *Error (RFC 6120, section 4.9.3) and final: it is
// returned by every later call.
func (s *Scanner) Next(buf []byte) (st *Stanza, n int, err error) {
	if s.err != nil {
		return nil, 0, s.err
	}
	ws := 0
	if s.state == between {
		for ws < len(buf) && isSpace(buf[ws]) {
			ws++
		}
		if ws == len(buf) {
			return nil, ws, nil
		}
		if buf[ws] != '<' {
			s.fail("not-well-formed", "text between stanzas")
			return nil, ws, s.err
		}
		s.state, s.st = atOpen, Stanza{}
	}
	b := buf[ws:]
	// What lies beyond the limit is never looked at, so that the verdict does not
	// depend on how the bytes arrive.
	over := len(b) > s.lim.MaxStanza
	if over {
		b = b[:s.lim.MaxStanza]
	}
	switch s.run(b) {
	case done:
		n := s.pos
		s.st.Raw = b[:n:n]
		s.state, s.pos = between, 0
		return &s.st, ws + n, nil
	case failed:
		return nil, ws, s.err
	}
	if over {
		s.fail("policy-violation", fmt.Sprintf("stanza larger than %d bytes", s.lim.MaxStanza))
		return nil, ws, s.err
	}
	return nil, ws, nil
}

func (s *Scanner) run(b []byte) flow {
	for {
		var f flow
		switch s.state {
		case inTag:
			f = s.tag(b)
		case inText:
			f = s.text(b)
		case inValue:
			f = s.value(b)
		case inEndTag:
			f = s.endTag(b)
		case atEquals:
			f = s.equals(b)
		case atQuote:
			f = s.openQuote(b)
		case atSlash:
			f = s.slash(b)
		case inCDATA:
			f = s.cdata(b)
		default:
			f = s.open(b)
		}
		if f != again {
			return f
		}
	}
}

func (s *Scanner) fail(condition, text string) flow {
	s.err = &Error{Condition: condition, Text: text}
	return failed
}

func (s *Scanner) malformed(text string) flow { return s.fail("not-well-formed", text) }

// open stands at '<'.
func (s *Scanner) open(b []byte) flow {
	i := s.pos + 1
	if i >= len(b) {
		return more
	}
	switch b[i] {
	case '/':
		return s.openEndTag(b, i+1)
	case '!':
		return s.bang(b)
	case '?':
		return s.fail("restricted-xml", "processing instruction or XML declaration inside the stream")
	}
	n, f := s.qname(b, i)
	if f != again {
		return f
	}
	s.start, s.name, s.attrs = s.pos, n, s.attrs[:0]
	s.pos, s.gap, s.state = int(n.end), int(n.end), inTag
	return again
}

// bang takes "<![CDATA["; every other declaration is restricted (section 11.1).
func (s *Scanner) bang(b []byte) flow {
	const begin = "<![CDATA["
	have := b[s.pos:min(len(b), s.pos+len(begin))]
	switch {
	case string(have) != begin[:len(have)]:
		return s.fail("restricted-xml", "comment or document type declaration")
	case len(have) < len(begin):
		return more
	case len(s.stack) == 0:
		return s.fail("not-well-formed", "text between stanzas")
	}
	s.pos += len(begin)
	s.state = inCDATA
	return again
}

// openEndTag compares the name of an end tag with the element that is open.
func (s *Scanner) openEndTag(b []byte, i int) flow {
	want := []byte("stream:stream")
	if k := len(s.stack); k > 0 {
		top := s.stack[k-1].name
		want = b[top.start:top.end]
	}
	have := b[i:min(len(b), i+len(want))]
	if string(have) != string(want[:len(have)]) {
		return s.malformed("end tag does not match its start tag")
	}
	if len(have) < len(want) {
		return more
	}
	s.start, s.pos, s.state = i, i+len(want), inEndTag
	return again
}

// endTag stands behind the name of an end tag, s.start is where the name starts.
func (s *Scanner) endTag(b []byte) flow {
	i := skipSpace(b, s.pos)
	s.pos = i
	if i == len(b) {
		return more
	}
	if b[i] != '>' {
		return s.malformed("end tag does not match its start tag")
	}
	s.pos++
	k := len(s.stack) - 1
	if k < 0 {
		end := s.start + len("stream:stream")
		s.st.Kind, s.st.Name, s.st.NameEnd = StreamEnd, Span{s.start, end}, end
		return done
	}
	s.binds = s.binds[:s.stack[k].bindings]
	s.stack = s.stack[:k]
	return s.closed(k)
}

// closed is called when an element at the depth given has ended.
func (s *Scanner) closed(depth int) flow {
	switch depth {
	case 0:
		return done
	case 1:
		if s.st.Child.End == 0 {
			s.st.Child.End = s.pos
		}
	}
	s.state = inText
	return again
}

func (s *Scanner) text(b []byte) flow {
	i := s.pos
	for {
		if i = plain(b, i, ']'); i == len(b) {
			s.pos = i
			return more
		}
		var n int
		switch b[i] {
		case '<':
			s.pos, s.state = i, atOpen
			return again
		case ']':
			n = s.bracket(b[i:])
		default:
			n = s.special(b[i:])
		}
		if n <= 0 {
			s.pos = i
			return stop(n)
		}
		i += n
	}
}

// stop translates the length that special returned where it is not positive.
func stop(n int) flow {
	if n < 0 {
		return failed
	}
	return more
}

// bracket looks at a ']' of character data, where "]]>" must not stand.
func (s *Scanner) bracket(b []byte) int {
	switch {
	case len(b) > 1 && b[1] != ']':
		return 1
	case len(b) < 3:
		return 0
	case b[2] == '>':
		s.malformed("']]>' in character data")
		return -1
	}
	return 1
}

func (s *Scanner) cdata(b []byte) flow {
	i := s.pos
	for {
		if i = plain(b, i, ']'); i == len(b) {
			s.pos = i
			return more
		}
		n := 1
		switch b[i] {
		case '<', '&':
		case ']':
			if len(b)-i < 3 && string(b[i:]) == "]]"[:len(b)-i] {
				s.pos = i
				return more
			}
			if len(b)-i >= 3 && b[i+1] == ']' && b[i+2] == '>' {
				s.pos, s.state = i+3, inText
				return again
			}
		default:
			n = s.special(b[i:])
		}
		if n <= 0 {
			s.pos = i
			return stop(n)
		}
		i += n
	}
}

// One reads a single whole element that has been accepted before, or was made here: no limit but
// that of the scanner's offsets applies. An error is an *Error, also for what is no whole element.
func One(raw []byte) (*Stanza, error) {
	s := NewScanner(Unlimited())
	st, n, err := s.Next(raw)
	switch {
	case err != nil:
		return nil, err
	case st == nil || n != len(raw):
		return nil, &Error{Condition: "not-well-formed", Text: "not a single whole element"}
	}
	return st, nil
}
