package b64

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// odd marks two characters of which one is not of the alphabet.
const odd = 1 << 15

// bits holds the 12 bits that two characters mean, the first in the low byte of the index.
var bits = func() (t [1 << 16]uint16) {
	for i := range t {
		t[i] = odd
	}
	for i, a := range []byte(alphabet) {
		for k, b := range []byte(alphabet) {
			t[int(b)<<8|int(a)] = uint16(i<<6 | k)
		}
	}
	return t
}()

// AppendDecode appends what src, in base64, stands for. As in encoding/base64, ends of lines are
// passed over, and an error, a base64.CorruptInputError, comes with what was decoded before it.
func AppendDecode(dst, src []byte) ([]byte, error) {
	most := base64.StdEncoding.DecodedLen(len(src))
	dst = slices.Grow(dst, most)
	out := dst[len(dst) : len(dst)+most]
	in := src
	// Eight characters become six bytes, written as eight: so two more groups have to follow.
	for len(in) >= 16 && len(out) >= 8 {
		x := binary.LittleEndian.Uint64(in)
		a, b, c, d := bits[x&0xFFFF], bits[x>>16&0xFFFF], bits[x>>32&0xFFFF], bits[x>>48]
		if (a|b|c|d)&odd != 0 {
			break
		}
		binary.BigEndian.PutUint64(out, uint64(a)<<52|uint64(b)<<40|uint64(c)<<28|uint64(d)<<16)
		in, out = in[8:], out[6:]
	}
	n, err := base64.StdEncoding.Decode(out, in)
	done := (len(src) - len(in)) / 4 * 3
	if e, ok := err.(base64.CorruptInputError); ok { //nolint:errorlint // documented as such, never wrapped
		err = e + base64.CorruptInputError(len(src)-len(in))
	}
	return dst[:len(dst)+done+n], err
}
