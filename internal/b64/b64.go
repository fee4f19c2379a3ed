package b64

import (
	"encoding/base64"
	"runtime"
	"slices"

	vector "github.com/emmansun/base64"
	"golang.org/x/sys/cpu"
)

// vectors: the library's instructions are there. On amd64 it looks for AVX2 and AVX itself, but
// takes SSSE3 for granted, which Go does not.
var vectors = runtime.GOARCH == "arm64" || cpu.X86.HasSSSE3

// EncodedLen is the length in base64 of n bytes.
func EncodedLen(n int) int { return (n + 2) / 3 * 4 }

// Append appends src in base64.
func Append(dst, src []byte) []byte {
	n := EncodedLen(len(src))
	dst = slices.Grow(dst, n)
	// The library trusts the caller that there is room for all of it, and so it is.
	out := dst[len(dst) : len(dst)+n]
	if vectors {
		vector.StdEncoding.Encode(out, src)
	} else {
		base64.StdEncoding.Encode(out, src)
	}
	return dst[:len(dst)+n]
}

// AppendDecode appends what src, in base64, stands for. As in encoding/base64, ends of lines are
// passed over, and an error, a base64.CorruptInputError, comes with what was decoded before it.
func AppendDecode(dst, src []byte) ([]byte, error) {
	most := base64.StdEncoding.DecodedLen(len(src))
	dst = slices.Grow(dst, most)
	out := dst[len(dst) : len(dst)+most]
	if vectors {
		if n, err := vector.StdEncoding.Decode(out, src); err == nil {
			return dst[:len(dst)+n], nil
		}
	}
	n, err := base64.StdEncoding.Decode(out, src)
	return dst[:len(dst)+n], err
}
