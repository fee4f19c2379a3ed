package state

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rosterdb/rosterdb/internal/op"
)

// maxDepth is how deep a JSON value may be nested that is indexed.
const maxDepth = 64

// jsonField reads the scalars at a path in a JSON text (RFC 8259): nothing if it is
// none. Arrays on the way and at the end stand for their elements; of two members
// of a name the first counts. It is written out here because all replicas have to
// find the same, whatever version of Go they were built with.
func jsonField(text []byte, path []string) []op.Scalar {
	j := jsonReader{b: text}
	j.value(path, true, maxDepth)
	j.space()
	if j.bad || j.i < len(j.b) {
		return nil
	}
	return j.found
}

type jsonReader struct {
	b     []byte
	i     int
	bad   bool
	found []op.Scalar
}

func (j *jsonReader) space() {
	for j.i < len(j.b) && (j.b[j.i] == ' ' || j.b[j.i] == '\t' || j.b[j.i] == '\n' || j.b[j.i] == '\r') {
		j.i++
	}
}

// take moves behind c if it is next.
func (j *jsonReader) take(c byte) bool {
	if j.i < len(j.b) && j.b[j.i] == c {
		j.i++
		return true
	}
	return false
}

func (j *jsonReader) fail() { j.bad, j.i = true, len(j.b) }

// value reads a value; what is at the path inside it is wanted if on is set.
func (j *jsonReader) value(path []string, on bool, depth int) {
	j.space()
	if j.bad || j.i == len(j.b) || depth == 0 {
		j.fail()
		return
	}
	var s op.Scalar
	switch j.b[j.i] {
	case '{':
		j.object(path, on, depth)
		return
	case '[':
		j.array(path, on, depth)
		return
	case '"':
		s = op.Scalar{Kind: op.String, String: j.text(on && len(path) == 0)}
	case 't', 'f', 'n':
		s = j.word()
	default:
		s = j.number()
	}
	if on && len(path) == 0 && !j.bad {
		j.found = append(j.found, s)
	}
}

func (j *jsonReader) object(path []string, on bool, depth int) {
	j.i++
	if j.space(); j.take('}') {
		return
	}
	seen := false
	for !j.bad {
		if j.space(); j.i == len(j.b) || j.b[j.i] != '"' {
			break
		}
		name := j.text(on && len(path) > 0)
		if j.space(); !j.take(':') {
			break
		}
		if on && !seen && len(path) > 0 && name == path[0] {
			seen = true
			j.value(path[1:], true, depth-1)
		} else {
			j.value(nil, false, depth-1)
		}
		j.space()
		if j.take('}') {
			return
		}
		if !j.take(',') {
			break
		}
	}
	j.fail()
}

func (j *jsonReader) array(path []string, on bool, depth int) {
	j.i++
	if j.space(); j.take(']') {
		return
	}
	for !j.bad {
		j.value(path, on, depth-1)
		j.space()
		if j.take(']') {
			return
		}
		if !j.take(',') {
			break
		}
	}
	j.fail()
}

func (j *jsonReader) word() op.Scalar {
	for word, s := range map[string]op.Scalar{"true": {Kind: op.Bool, Bool: true}, "false": {Kind: op.Bool}, "null": {Kind: op.Null}} {
		if strings.HasPrefix(string(j.b[j.i:min(len(j.b), j.i+5)]), word) {
			j.i += len(word)
			return s
		}
	}
	j.fail()
	return op.Scalar{}
}

func (j *jsonReader) digits() {
	from := j.i
	for j.i < len(j.b) && j.b[j.i] >= '0' && j.b[j.i] <= '9' {
		j.i++
	}
	if j.i == from {
		j.fail()
	}
}

func (j *jsonReader) number() op.Scalar {
	from := j.i
	j.take('-')
	if !j.take('0') {
		j.digits()
	}
	if j.take('.') {
		j.digits()
	}
	if j.take('e') || j.take('E') {
		if !j.take('+') {
			j.take('-')
		}
		j.digits()
	}
	if j.bad {
		return op.Scalar{}
	}
	f, err := strconv.ParseFloat(string(j.b[from:j.i]), 64)
	if err != nil {
		return op.Scalar{} // too large: valid, but no index holds it
	}
	return op.Scalar{Kind: op.Number, Number: f}
}

// text reads a string; its content only if it is wanted.
func (j *jsonReader) text(wanted bool) string {
	j.i++
	from := j.i
	for j.i < len(j.b) {
		switch c := j.b[j.i]; {
		case c == '"':
			s := string(j.b[from:j.i])
			j.i++
			return s
		case c == '\\':
			return j.escaped(from, wanted)
		case c < ' ':
			j.fail()
			return ""
		}
		j.i++
	}
	j.fail()
	return ""
}

// escaped goes on at the first escape of a string.
func (j *jsonReader) escaped(from int, wanted bool) string {
	var out []byte
	if wanted {
		out = append(out, j.b[from:j.i]...)
	}
	for j.i < len(j.b) {
		c := j.b[j.i]
		j.i++
		switch {
		case c == '"':
			return string(out)
		case c < ' ':
			j.fail()
		case c == '\\':
			r := j.escape()
			if wanted && !j.bad {
				out = utf8.AppendRune(out, r)
			}
		case wanted:
			out = append(out, c)
		}
	}
	j.fail()
	return ""
}

// escape reads what comes behind a backslash.
func (j *jsonReader) escape() rune {
	if j.i == len(j.b) {
		j.fail()
		return 0
	}
	c := j.b[j.i]
	j.i++
	if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 {
		return rune("\"\\/\b\f\n\r\t"[at])
	}
	if c != 'u' {
		j.fail()
		return 0
	}
	r := j.hex()
	if utf16.IsSurrogate(r) {
		// An unpaired one becomes U+FFFD.
		at := j.i
		if j.take('\\') && j.take('u') {
			if pair := utf16.DecodeRune(r, j.hex()); pair != utf8.RuneError {
				return pair
			}
		}
		if !j.bad {
			j.i = at
		}
		return utf8.RuneError
	}
	return r
}

func (j *jsonReader) hex() rune {
	if len(j.b)-j.i < 4 {
		j.fail()
		return 0
	}
	n, err := strconv.ParseUint(string(j.b[j.i:j.i+4]), 16, 16)
	if err != nil {
		j.fail()
		return 0
	}
	j.i += 4
	return rune(n)
}
