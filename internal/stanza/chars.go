package stanza

import (
	"bytes"
	"unicode/utf8"
)

// Classes of bytes in character data and attribute values.
const (
	plain   = iota // ASCII that stands for itself
	special        // & < ] : looked at where they matter
	control        // no XML character (XML 1.0, section 2.2)
	multi          // part of a multi-byte UTF-8 sequence
)

var class = func() (t [256]uint8) {
	for i := range t {
		switch {
		case i == '\t' || i == '\n' || i == '\r':
		case i < 0x20:
			t[i] = control
		case i >= 0x80:
			t[i] = multi
		}
	}
	t['&'], t['<'], t[']'] = special, special, special
	return t
}()

// nameClass: 1 may start a name, 2 may only continue one. Bytes from 0x80 on are
// checked as UTF-8 with the rest of the tag.
var nameClass = func() (t [256]uint8) {
	for i := range t {
		switch {
		case i >= 'a' && i <= 'z', i >= 'A' && i <= 'Z', i == '_', i == ':', i >= 0x80:
			t[i] = 1
		case i >= '0' && i <= '9', i == '-', i == '.':
			t[i] = 2
		}
	}
	return t
}()

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// checkText validates character data (inText) or an attribute's value.
func checkText(b []byte, inText bool) error {
	for i := 0; i < len(b); {
		c := b[i]
		switch class[c] {
		case plain:
			i++
		case control:
			return errNotWellFormed("control character")
		case multi:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return &Error{"unsupported-encoding", "invalid UTF-8"}
			}
			if r == 0xFFFE || r == 0xFFFF {
				return errNotWellFormed("character that XML does not allow")
			}
			i += n
		default:
			switch {
			case c == '&':
				n := entityLen(b[i:])
				if n == 0 {
					return errRestricted("entity reference other than the five of XML, or malformed")
				}
				i += n
			case c == '<':
				return errNotWellFormed("'<' in a value")
			case inText && i+2 < len(b) && b[i+1] == ']' && b[i+2] == '>':
				return errNotWellFormed("']]>' in character data")
			default:
				i++
			}
		}
	}
	return nil
}

// checkChars validates CDATA: UTF-8 and XML characters only.
func checkChars(b []byte) error {
	for i := 0; i < len(b); {
		switch class[b[i]] {
		case control:
			return errNotWellFormed("control character")
		case multi:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return &Error{"unsupported-encoding", "invalid UTF-8"}
			}
			if r == 0xFFFE || r == 0xFFFF {
				return errNotWellFormed("character that XML does not allow")
			}
			i += n
		default:
			i++
		}
	}
	return nil
}

// entityLen returns the length of the reference at the start of b, 0 when it is
// malformed, not predefined, or no XML character.
func entityLen(b []byte) int {
	r, n := decodeEntity(b)
	if n == 0 || !isXMLChar(r) {
		return 0
	}
	return n
}

func isXMLChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

func decodeEntity(b []byte) (rune, int) {
	const longest = 12 // &#x0010FFFF;
	end := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if end < 2 {
		return 0, 0
	}
	switch e := b[1:end]; {
	case string(e) == "amp":
		return '&', end + 1
	case string(e) == "lt":
		return '<', end + 1
	case string(e) == "gt":
		return '>', end + 1
	case string(e) == "apos":
		return '\'', end + 1
	case string(e) == "quot":
		return '"', end + 1
	case e[0] == '#':
		return charRef(e[1:]), end + 1
	}
	return 0, 0
}

func charRef(d []byte) rune {
	base, v := rune(10), rune(0)
	if len(d) > 0 && d[0] == 'x' {
		base, d = 16, d[1:]
	}
	if len(d) == 0 {
		return -1
	}
	for _, c := range d {
		var x rune
		switch {
		case c >= '0' && c <= '9':
			x = rune(c - '0')
		case base == 16 && c >= 'a' && c <= 'f':
			x = rune(c-'a') + 10
		case base == 16 && c >= 'A' && c <= 'F':
			x = rune(c-'A') + 10
		default:
			return -1
		}
		if v = v*base + x; v > 0x10FFFF {
			return -1
		}
	}
	return v
}

// Unescape resolves references. It returns b itself when there are none.
func Unescape(b []byte) []byte {
	i := bytes.IndexByte(b, '&')
	if i < 0 {
		return b
	}
	out := append(make([]byte, 0, len(b)), b[:i]...)
	for i < len(b) {
		if b[i] == '&' {
			if r, n := decodeEntity(b[i:]); n > 0 {
				out = utf8.AppendRune(out, r)
				i += n
				continue
			}
		}
		out = append(out, b[i])
		i++
	}
	return out
}

func checkName(b []byte) error {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return &Error{"unsupported-encoding", "invalid UTF-8"}
		}
		if r >= 0x80 && !isNameRune(r, i == 0) {
			return errNotWellFormed("malformed name")
		}
		i += n
	}
	return nil
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
