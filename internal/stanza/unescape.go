package stanza

import (
	"bytes"
	"unicode/utf8"
)

// resolveReference returns the character that the reference at the start of b
// stands for and its length; length 0 where there is no reference that can be resolved.
func resolveReference(b []byte) (rune, int) {
	end := bytes.IndexByte(b[:min(len(b), maxReference)], ';')
	if end < 2 {
		return 0, 0
	}
	switch e := b[1:end]; string(e) {
	case "amp":
		return '&', end + 1
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "apos":
		return '\'', end + 1
	case "quot":
		return '"', end + 1
	default:
		if e[0] == '#' {
			if r, ok := charRef(e[1:]); ok {
				return r, end + 1
			}
		}
		return 0, 0
	}
}

func charRef(d []byte) (rune, bool) {
	base, v := rune(10), rune(0)
	if len(d) > 0 && d[0] == 'x' {
		base, d = 16, d[1:]
	}
	if len(d) == 0 {
		return 0, false
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
			return 0, false
		}
		if v = v*base + x; v > utf8.MaxRune {
			return 0, false
		}
	}
	return v, true
}

// Unescape resolves references and ends of lines in character data (XML 1.0,
// sections 4.4 and 2.11). It returns b itself when there is nothing to resolve.
func Unescape(b []byte) []byte {
	if bytes.IndexByte(b, '&') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return b
	}
	return unescape(b, '\n', false)
}

// unescapeValue does the same for the value of an attribute, where all white space
// becomes blanks (section 3.3.3).
func unescapeValue(b []byte) []byte {
	for i := plain(b, 0, '&'); i < len(b); i = plain(b, i+1, '&') {
		if b[i] == '&' || b[i] < ' ' {
			return unescape(b, ' ', true)
		}
	}
	return b
}

// unescape turns ends of lines into eol, and tabs too when blanks is set.
func unescape(b []byte, eol byte, blanks bool) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case '&':
			if r, n := resolveReference(b[i:]); n > 0 {
				out = utf8.AppendRune(out, r)
				i += n - 1
				continue
			}
		case '\r':
			if i+1 < len(b) && b[i+1] == '\n' {
				i++
			}
			c = eol
		case '\n':
			c = eol
		case '\t':
			if blanks {
				c = ' '
			}
		}
		out = append(out, c)
	}
	return out
}
