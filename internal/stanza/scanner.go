package stanza

import "bytes"

// token is what the scanner stands in the middle of.
type token uint8

const (
	inText  token = iota // character data, or white space between stanzas
	inTag                // between '<' and its '>'
	inCDATA              // behind "<![CDATA["
)

type frame struct {
	name  Span // of the open element
	decls int  // length of Scanner.decls outside it
}

// Scanner finds first-level elements one after another. It keeps offsets only,
// never bytes, so the caller owns the buffer and may move it between calls. Each
// byte is looked at once while a token is incomplete and once when it is whole,
// however small the pieces in which it arrives. Not safe for concurrent use.
type Scanner struct {
	lim   Limits
	pos   int // bytes of the current element looked at
	start int // of the current token
	tok   token
	quote byte // open quote inside a tag
	stack []frame
	decls []Span // prefixes declared by open elements
	st    Stanza
	tag   tag
}

// NewScanner returns a Scanner for the inside of a stream whose header declared
// the prefix "stream" and the default namespace of stanzas.
func NewScanner(l Limits) *Scanner { return &Scanner{lim: l.WithDefaults()} }

// Next looks for one whole first-level element at the start of buf. buf begins
// where the last call's n ended and differs from the buffer of the last call that
// returned nothing only by bytes appended to it.
//
// It returns the element and the bytes that it took, white space before it
// included. A nil Stanza means that more bytes are needed; n may then be above
// zero when white space (a keep-alive) was used up. The Stanza is valid until the
// next call. An error is an *Error and final.
func (s *Scanner) Next(buf []byte) (st *Stanza, n int, err error) {
	ws := 0
	if s.pos == 0 {
		for ws < len(buf) && isSpace(buf[ws]) {
			ws++
		}
		buf = buf[ws:]
		if len(buf) == 0 {
			return nil, ws, nil
		}
		if buf[0] != '<' {
			return nil, ws, errNotWellFormed("character data between stanzas")
		}
		s.st = Stanza{}
	}
	for s.pos < len(buf) {
		done, err := s.step(buf)
		if err != nil {
			return nil, ws, err
		}
		if s.pos > s.lim.MaxStanza {
			break
		}
		if done {
			n := s.pos
			s.st.Raw = buf[:n:n]
			s.pos, s.start, s.tok, s.quote = 0, 0, inText, 0
			s.decls = s.decls[:0]
			return &s.st, ws + n, nil
		}
	}
	if s.pos > s.lim.MaxStanza {
		return nil, ws, errPolicy("stanza too large")
	}
	return nil, ws, nil
}

// step takes in one token, or what there is of it. done tells that the first-level element ended.
func (s *Scanner) step(buf []byte) (done bool, err error) {
	switch s.tok {
	case inTag:
		return s.stepTag(buf)
	case inCDATA:
		return false, s.stepCDATA(buf)
	}
	i := bytes.IndexByte(buf[s.pos:], '<')
	if i < 0 {
		s.pos = len(buf)
		return false, nil
	}
	end := s.pos + i
	if end > s.start {
		if err := checkText(buf[s.start:end], true); err != nil {
			return false, err
		}
	}
	s.tok, s.start, s.pos = inTag, end, end+1
	return false, nil
}

// stepTag looks for the '>' that ends the tag, outside quotes.
func (s *Scanner) stepTag(buf []byte) (done bool, err error) {
	switch buf[s.start+1] {
	case '?':
		return false, errRestricted("processing instruction or XML declaration inside the stream")
	case '!':
		return false, s.stepBang(buf)
	}
	for s.pos < len(buf) {
		if s.quote != 0 {
			i := bytes.IndexByte(buf[s.pos:], s.quote)
			if i < 0 {
				s.pos = len(buf)
				return false, nil
			}
			s.pos += i + 1
			s.quote = 0
			continue
		}
		c := buf[s.pos]
		s.pos++
		switch c {
		case '>':
			return s.endTag(buf)
		case '"', '\'':
			s.quote = c
		case '<':
			return false, errNotWellFormed("'<' inside a tag")
		}
	}
	return false, nil
}

// stepBang takes "<![CDATA[" byte by byte; every other declaration is restricted.
func (s *Scanner) stepBang(buf []byte) error {
	const open = "<![CDATA["
	have := buf[s.start:min(len(buf), s.start+len(open))]
	if len(s.stack) == 0 || string(have) != open[:len(have)] {
		return errRestricted("comment or document type declaration")
	}
	s.pos = s.start + len(have)
	if len(have) == len(open) {
		s.tok, s.start = inCDATA, s.pos
	}
	return nil
}

func (s *Scanner) stepCDATA(buf []byte) error {
	// The end may lie across what was seen before.
	from := max(s.start, s.pos-2)
	i := bytes.Index(buf[from:], []byte("]]>"))
	if i < 0 {
		s.pos = len(buf)
		return nil
	}
	if err := checkChars(buf[s.start : from+i]); err != nil {
		return err
	}
	s.pos = from + i + 3
	s.tok, s.start = inText, s.pos
	return nil
}

// endTag takes in a whole tag, buf[s.start:s.pos].
func (s *Scanner) endTag(buf []byte) (done bool, err error) {
	start := s.start
	s.tok, s.start = inText, s.pos
	if buf[start+1] == '/' {
		return s.closeElement(buf, start)
	}
	t := &s.tag
	if err := t.parse(buf, start, s.pos, &s.lim); err != nil {
		return false, err
	}
	if len(s.stack) >= s.lim.MaxDepth {
		return false, errPolicy("elements nested too deeply")
	}
	outside := len(s.decls)
	for i := range t.attrs {
		if p := t.attrs[i].prefixDecl(buf); !p.Empty() {
			s.decls = append(s.decls, p)
		}
	}
	if err := s.checkPrefixes(buf, t); err != nil {
		return false, err
	}
	s.note(buf, start, t)
	if t.selfClosed {
		s.decls = s.decls[:outside]
		if len(s.stack) == 1 && s.st.Child.Start == start {
			s.st.Child.End = s.pos
		}
		return len(s.stack) == 0, nil
	}
	s.stack = append(s.stack, frame{t.name, outside})
	return false, nil
}

func (s *Scanner) closeElement(buf []byte, start int) (done bool, err error) {
	name := Span{start + 2, s.pos - 1}
	for name.End > name.Start && isSpace(buf[name.End-1]) {
		name.End--
	}
	if len(s.stack) == 0 {
		if string(buf[name.Start:name.End]) == "stream:stream" {
			s.st.Kind, s.st.Name, s.st.NameEnd = StreamEnd, name, name.End
			return true, nil
		}
		return false, errNotWellFormed("end tag without a start tag")
	}
	top := s.stack[len(s.stack)-1]
	if !bytes.Equal(buf[name.Start:name.End], buf[top.name.Start:top.name.End]) {
		return false, errNotWellFormed("end tag does not match its start tag")
	}
	s.stack = s.stack[:len(s.stack)-1]
	s.decls = s.decls[:top.decls]
	if len(s.stack) == 1 && s.st.Child.End == 0 {
		s.st.Child.End = s.pos
	}
	return len(s.stack) == 0, nil
}

func (s *Scanner) checkPrefixes(buf []byte, t *tag) error {
	if err := s.checkPrefix(buf, t.name); err != nil {
		return err
	}
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.isDecl(buf) {
			continue
		}
		if err := s.checkPrefix(buf, a.name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scanner) checkPrefix(buf []byte, name Span) error {
	i := bytes.IndexByte(buf[name.Start:name.End], ':')
	if i < 0 {
		return nil
	}
	p := buf[name.Start : name.Start+i]
	if i == 0 || name.Start+i+1 == name.End || bytes.IndexByte(buf[name.Start+i+1:name.End], ':') >= 0 {
		return errNotWellFormed("malformed qualified name")
	}
	if string(p) == "stream" || string(p) == "xml" {
		return nil
	}
	for _, d := range s.decls {
		if bytes.Equal(buf[d.Start:d.End], p) {
			return nil
		}
	}
	return &Error{"bad-namespace-prefix", "undeclared prefix"}
}

// note keeps what routing needs of the first-level element and of its first child.
func (s *Scanner) note(buf []byte, start int, t *tag) {
	st := &s.st
	switch len(s.stack) {
	case 0:
		st.Name, st.NameEnd = t.name, t.name.End
		st.Kind = kindOf(buf[t.name.Start:t.name.End])
		for i := range t.attrs {
			a := &t.attrs[i]
			switch at := (Attr{a.whole, a.value}); string(buf[a.name.Start:a.name.End]) {
			case "to":
				st.To = at
			case "from":
				st.From = at
			case "type":
				st.Type = at
			case "id":
				st.ID = at
			case "xmlns":
				if string(buf[a.value.Start:a.value.End]) != "jabber:client" {
					st.Kind = Nonza
				}
			}
		}
	case 1:
		if st.Child.Start != 0 {
			return
		}
		st.Child.Start = start
		st.ChildName = t.name
		if i := bytes.IndexByte(buf[t.name.Start:t.name.End], ':'); i >= 0 {
			st.ChildName.Start += i + 1
		}
		st.ChildNS = t.namespace(buf)
	}
}

func kindOf(name []byte) Kind {
	switch string(name) {
	case "message":
		return Message
	case "presence":
		return Presence
	case "iq":
		return IQ
	}
	return Nonza
}
