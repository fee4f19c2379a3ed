package stanza

import "fmt"

// tag stands in a start tag behind its name or an attribute.
func (s *Scanner) tag(b []byte) flow {
	i := skipSpace(b, s.pos)
	s.pos = i
	if i == len(b) {
		return more
	}
	switch b[i] {
	case '>':
		s.pos++
		return s.startTag(b, false)
	case '/':
		s.pos++
		s.state = atSlash
		return again
	}
	if i == s.gap {
		return s.malformed("malformed start tag: white space belongs before an attribute")
	}
	n, f := s.qname(b, i)
	if f != again {
		return f
	}
	if len(s.attrs) >= s.lim.MaxAttrs {
		return s.fail("policy-violation", fmt.Sprintf("more than %d attributes", s.lim.MaxAttrs))
	}
	s.attrs = append(s.attrs, attribute{name: n, whole: int32(s.gap)})
	i = int(n.end)
	// The usual way to write it takes the short way.
	if i+1 < len(b) && b[i] == '=' && (b[i+1] == '\'' || b[i+1] == '"') {
		s.beginValue(b, i+1)
		return s.value(b)
	}
	s.pos, s.state = i, atEquals
	return again
}

func (s *Scanner) equals(b []byte) flow {
	i := skipSpace(b, s.pos)
	s.pos = i
	if i == len(b) {
		return more
	}
	if b[i] != '=' {
		return s.malformed("attribute without a value")
	}
	s.pos++
	s.state = atQuote
	return again
}

func (s *Scanner) openQuote(b []byte) flow {
	i := skipSpace(b, s.pos)
	s.pos = i
	if i == len(b) {
		return more
	}
	if b[i] != '\'' && b[i] != '"' {
		return s.malformed("attribute value without quotes")
	}
	s.beginValue(b, i)
	return again
}

func (s *Scanner) beginValue(b []byte, i int) {
	s.quote = b[i]
	s.pos, s.state = i+1, inValue
	s.attrs[len(s.attrs)-1].value.start = int32(i + 1)
}

func (s *Scanner) value(b []byte) flow {
	i := s.pos
	for {
		if i = plain(b, i, s.quote); i == len(b) {
			s.pos = i
			return more
		}
		c := b[i]
		if c == s.quote {
			s.attrs[len(s.attrs)-1].value.end = int32(i)
			s.pos, s.gap, s.state = i+1, i+1, inTag
			return again
		}
		if c == '<' {
			return s.malformed("'<' in an attribute value")
		}
		n := s.special(b[i:])
		if n <= 0 {
			s.pos = i
			return stop(n)
		}
		i += n
	}
}

func (s *Scanner) slash(b []byte) flow {
	if s.pos == len(b) {
		return more
	}
	if b[s.pos] != '>' {
		return s.malformed("'/' inside a tag")
	}
	s.pos++
	return s.startTag(b, true)
}

// startTag takes in a whole start tag, b[s.start:s.pos].
func (s *Scanner) startTag(b []byte, empty bool) flow {
	depth := len(s.stack)
	if depth >= s.lim.MaxDepth {
		return s.fail("policy-violation", fmt.Sprintf("elements nested deeper than %d", s.lim.MaxDepth))
	}
	outside := len(s.binds)
	if f := s.declare(b); f != again {
		return f
	}
	if f := s.resolve(b); f != again {
		return f
	}
	switch depth {
	case 0:
		if s.header {
			return s.headerTag(empty)
		}
		if string(b[s.name.start:s.name.end]) == "stream:stream" {
			return s.fail("unsupported-stanza-type", "stream header inside a stream")
		}
		s.noteStanza(b)
	case 1:
		if s.st.Children++; s.st.Children == 1 {
			s.noteChild(b)
		}
	}
	if empty {
		s.binds = s.binds[:outside]
		return s.closed(depth)
	}
	s.stack = append(s.stack, frame{span{s.name.start, s.name.end}, int32(outside)})
	s.state = inText
	return again
}

// headerTag ends a run at the start tag of the stream.
func (s *Scanner) headerTag(empty bool) flow {
	if empty {
		return s.fail("bad-format", "a stream is opened by a start tag, not by an empty element")
	}
	s.stack = append(s.stack, frame{})
	s.state = inText
	return done
}

// noteStanza keeps what routing needs of the first-level element.
func (s *Scanner) noteStanza(b []byte) {
	st := &s.st
	st.Name = Span{int(s.name.start), int(s.name.end)}
	st.NameEnd = st.Name.End
	for i := range s.attrs {
		a := &s.attrs[i]
		at := Attr{Span{int(a.whole), int(a.value.end) + 1}, Span{int(a.value.start), int(a.value.end)}}
		switch string(b[a.name.start:a.name.end]) {
		case "to":
			st.To = at
		case "from":
			st.From = at
		case "type":
			st.Type = at
		case "id":
			st.ID = at
		}
	}
	if ns, declared := s.namespace(b, s.name); !declared && s.name.colon == 0 || sameText(b[ns.start:ns.end], NSClient) {
		st.Kind = kindOf(b[s.name.local():s.name.end])
	}
}

func (s *Scanner) noteChild(b []byte) {
	ns, _ := s.namespace(b, s.name)
	s.st.Child.Start = s.start
	s.st.ChildName = Span{int(s.name.local()), int(s.name.end)}
	s.st.ChildNS = Span{int(ns.start), int(ns.end)}
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
