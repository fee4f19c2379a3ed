package stanza

import (
	"fmt"
	"unicode/utf8"
)

// Classes of the bytes of a name (XML 1.0, productions 4 and 4a).
const (
	nameStart = 1 << iota // may start a name
	nameRest              // may continue one
	nameColon             // separates prefix and local part
	nameHigh              // part of a character above ASCII
)

var nameClass = func() (t [256]uint8) {
	for i := range t {
		switch {
		case i >= 'a' && i <= 'z', i >= 'A' && i <= 'Z', i == '_':
			t[i] = nameStart
		case i >= '0' && i <= '9', i == '-', i == '.':
			t[i] = nameRest
		case i == ':':
			t[i] = nameColon
		case i >= 0x80:
			t[i] = nameHigh
		}
	}
	return t
}()

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// special looks at a byte that plain stopped at and returns the length of the
// character or reference there, 0 when more bytes are needed, -1 when it failed.
func (s *Scanner) special(b []byte) int {
	switch c := b[0]; {
	case c == '&':
		return s.reference(b)
	case c >= 0x80:
		return s.character(b)
	case isSpace(c):
		return 1
	}
	s.malformed(fmt.Sprintf("control character U+%04X", b[0]))
	return -1
}

// character looks at one character above ASCII.
func (s *Scanner) character(b []byte) int {
	if !utf8.FullRune(b) {
		return 0
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n == 1 {
		s.fail("unsupported-encoding", "invalid UTF-8")
		return -1
	}
	if !isXMLChar(r) {
		s.malformed(fmt.Sprintf("character U+%04X", r))
		return -1
	}
	return n
}

// maxReference is the most bytes of a reference; character references may have
// leading zeros.
const maxReference = 32

// reference looks at a '&': only the five entities of XML and character references
// may follow (RFC 6120, section 11.1).
func (s *Scanner) reference(b []byte) int {
	for i := 1; i < len(b) && i < maxReference; i++ {
		c := b[i]
		if c == ';' {
			return s.wholeReference(b[:i+1])
		}
		if nameClass[c] == 0 && (c != '#' || i != 1) {
			s.malformed("'&' without a reference")
			return -1
		}
	}
	if len(b) < maxReference {
		return 0
	}
	if b[1] == '#' {
		s.fail("policy-violation", "character reference too long")
	} else {
		s.fail("restricted-xml", "entity reference")
	}
	return -1
}

func (s *Scanner) wholeReference(b []byte) int {
	if r, n := resolveReference(b); n > 0 && isXMLChar(r) {
		return n
	}
	if b[1] == '#' || nameClass[b[1]]&(nameStart|nameHigh) == 0 {
		s.malformed("malformed reference")
	} else {
		s.fail("restricted-xml", "entity reference")
	}
	return -1
}

func isXMLChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// qname takes the qualified name at i (Namespaces in XML, production 7).
func (s *Scanner) qname(b []byte, i int) (qname, flow) {
	j, seen := i, uint8(0)
	for j < len(b) && nameClass[b[j]] != 0 {
		seen |= nameClass[b[j]]
		j++
	}
	if i < len(b) && nameClass[b[i]]&(nameStart|nameHigh) == 0 {
		return qname{}, s.malformed("malformed name or tag")
	}
	if j-i > s.lim.MaxName {
		return qname{}, s.fail("policy-violation", fmt.Sprintf("name longer than %d bytes", s.lim.MaxName))
	}
	if j == len(b) {
		return qname{}, more
	}
	n := qname{start: int32(i), end: int32(j)}
	if seen&(nameColon|nameHigh) == 0 {
		return n, again
	}
	return n, s.checkName(b, &n)
}

// checkName looks at a name that has a colon or characters above ASCII.
func (s *Scanner) checkName(b []byte, n *qname) flow {
	first := true // of a part
	for i := int(n.start); i < int(n.end); {
		c := b[i]
		if c == ':' {
			if first || n.colon > 0 {
				return s.malformed("malformed qualified name")
			}
			n.colon, first = int32(i), true
			i++
			continue
		}
		size := 1
		switch {
		case c >= 0x80:
			r, k := utf8.DecodeRune(b[i:n.end])
			if r == utf8.RuneError && k == 1 {
				return s.fail("unsupported-encoding", "invalid UTF-8")
			}
			if !isNameRune(r, first) {
				return s.malformed("malformed name")
			}
			size = k
		case first && nameClass[c] != nameStart:
			return s.malformed("malformed name")
		}
		first = false
		i += size
	}
	if first {
		return s.malformed("malformed qualified name")
	}
	return again
}

// isNameRune follows XML 1.0 (fifth edition), productions 4 and 4a, above ASCII.
func isNameRune(r rune, first bool) bool {
	switch {
	case r >= 0xC0 && r <= 0x2FF, r >= 0x370 && r <= 0x1FFF, r >= 0x200C && r <= 0x200D,
		r >= 0x2070 && r <= 0x218F, r >= 0x2C00 && r <= 0x2FEF, r >= 0x3001 && r <= 0xD7FF,
		r >= 0xF900 && r <= 0xFDCF, r >= 0xFDF0 && r <= 0xFFFD, r >= 0x10000 && r <= 0xEFFFF:
		return r != 0xD7 && r != 0xF7 && r != 0x37E
	case r == 0xB7, r >= 0x300 && r <= 0x36F, r >= 0x203F && r <= 0x2040:
		return !first
	}
	return false
}
