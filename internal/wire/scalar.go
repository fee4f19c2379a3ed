package wire

import (
	"math"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/b64"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// maxNumber is the longest float64 in the shortest notation that is exact.
const maxNumber = 24

// appendScalar appends <name/> with the value in the attribute named for its kind.
func appendScalar(dst []byte, name string, s *op.Scalar) []byte {
	dst = append(append(dst, '<'), name...)
	switch s.Kind {
	case op.Null:
		dst = append(dst, " null='1'"...)
	case op.Bool:
		dst = append(dst, " bool='"...)
		dst = append(strconv.AppendBool(dst, s.Bool), '\'')
	case op.Number:
		dst = append(dst, " number='"...)
		dst = append(strconv.AppendFloat(dst, s.Number, 'g', -1, 64), '\'')
	case op.String:
		dst = stanza.AppendAttr(dst, "string", s.String)
	}
	return append(dst, "/>"...)
}

// scalar reads the one of the four attributes that is there.
func (a *attrs) scalar() op.Scalar {
	kinds := 0
	for _, t := range [...]text{tNull, tBool, tNumber, tString} {
		if a.set(t) {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		a.fail("a value with %d of the attributes null, bool, number, string; it has one", kinds)
	case a.set(tNull):
		return op.Scalar{Kind: op.Null}
	case a.set(tBool):
		return op.Scalar{Kind: op.Bool, Bool: a.flag(tBool, "bool")}
	case a.set(tString):
		return op.Scalar{Kind: op.String, String: a.str(tString)}
	default:
		return op.Scalar{Kind: op.Number, Number: a.float(tNumber, "number")}
	}
	return op.Scalar{}
}

// float reads a number as JSON writes it.
func (a *attrs) float(t text, name string) float64 {
	b := a.raw(t)
	for _, c := range b {
		// What JSON does not have but strconv would take: hexadecimal, Inf, _.
		if (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E' {
			b = nil
			break
		}
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsInf(f, 0) {
		a.fail("attribute %s=%.40q is no number, or too large", name, a.raw(t))
		return 0
	}
	return f
}

// cursor is nil where there is none.
func (a *attrs) cursor() []byte {
	if len(a.raw(tCursor)) == 0 {
		return nil
	}
	b, err := b64.AppendDecode(nil, a.raw(tCursor))
	if err != nil {
		a.fail("cursor is not base64; give the one of the last object as it is")
	}
	return b
}

func appendCursor(dst, cursor []byte) []byte {
	if len(cursor) == 0 {
		return dst
	}
	dst = b64.Append(append(dst, " cursor='"...), cursor)
	return append(dst, '\'')
}
