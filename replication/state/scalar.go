package state

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/rosterdb/rosterdb/internal/op"
)

// An entry of an index is the index's number, 4 bytes big endian, a scalar and the
// key of the object; the bytes sort as the scalars do. After a scalar comes the
// name of a root, whose first byte is neither 0 nor 0xFF.
const indexIDLen = 4

// numberLen is what a number takes in an entry.
const numberLen = 9

// behindAll is greater than what follows a scalar in an entry, and than any scalar.
const behindAll = 0xFF

// appendScalar appends the kind and, by kind, nothing; 0 or 1; the 8 bytes of a
// number, with its sign turned so that the bytes sort; a string and a NUL.
func appendScalar(dst []byte, s *op.Scalar) []byte {
	dst = append(dst, byte(s.Kind))
	switch s.Kind {
	case op.Bool:
		if s.Bool {
			return append(dst, 1)
		}
		return append(dst, 0)
	case op.Number:
		bits := math.Float64bits(s.Number + 0) // -0 is 0
		if bits>>63 == 1 {
			bits = ^bits
		} else {
			bits |= 1 << 63
		}
		return binary.BigEndian.AppendUint64(dst, bits)
	case op.String:
		return append(append(dst, s.String...), 0)
	}
	return dst
}

// cutScalar reads a scalar and returns what is behind it.
func cutScalar(b []byte) (s op.Scalar, rest []byte, ok bool) {
	if len(b) == 0 {
		return s, nil, false
	}
	s.Kind, b = op.ScalarKind(b[0]), b[1:]
	switch s.Kind {
	case op.Null:
	case op.Bool:
		if len(b) < 1 {
			return s, nil, false
		}
		s.Bool, b = b[0] == 1, b[1:]
	case op.Number:
		if len(b) < 8 {
			return s, nil, false
		}
		bits := binary.BigEndian.Uint64(b)
		if bits>>63 == 1 {
			bits &^= 1 << 63
		} else {
			bits = ^bits
		}
		s.Number, b = math.Float64frombits(bits), b[8:]
	case op.String:
		n := bytes.IndexByte(b, 0)
		if n < 0 {
			return s, nil, false
		}
		s.String, b = string(b[:n]), b[n+1:]
	default:
		return s, nil, false
	}
	return s, b, true
}
