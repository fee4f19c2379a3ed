package link

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Channel says what a frame is for. Both ends have to know it.
type Channel uint8

// heartbeat is the channel of frames that only say that the sender lives.
const heartbeat Channel = 0

// MaxFrame bounds the payload of a frame, in bytes.
const MaxFrame = 16 << 20

// maxHeader is the longest header of a frame: the channel, and the length as a varint.
const maxHeader = 1 + 4

// errFrame is a header that no sender makes.
var errFrame = errors.New("not a frame")

// appendFrame appends a frame: the channel, the length of the payload as an unsigned varint, the payload, which
// may come in pieces.
func appendFrame(dst []byte, ch Channel, payload ...[]byte) []byte {
	n := 0
	for _, piece := range payload {
		n += len(piece)
	}
	dst = append(dst, byte(ch))
	dst = binary.AppendUvarint(dst, uint64(n)) //nolint:gosec // of slices
	for _, piece := range payload {
		dst = append(dst, piece...)
	}
	return dst
}

// cutFrame returns the first frame of b and its length with the header; 0 if it is not complete.
func cutFrame(b []byte) (ch Channel, payload []byte, n int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	size, head := binary.Uvarint(b[1:min(len(b), maxHeader)])
	switch {
	case head < 0 || head == 0 && len(b) >= maxHeader:
		return 0, nil, 0, fmt.Errorf("%w: its length does not end", errFrame)
	case head == 0:
		return 0, nil, 0, nil
	case size > MaxFrame:
		return 0, nil, 0, fmt.Errorf("%w: %d bytes are more than %d", errFrame, size, MaxFrame)
	}
	head++
	n = head + int(size)
	if len(b) < n {
		return 0, nil, 0, nil
	}
	return Channel(b[0]), b[head:n:n], n, nil
}

// cutAll counts the frames that b begins with, and their bytes.
func cutAll(b []byte) (frames, n int, err error) {
	for {
		_, _, size, err := cutFrame(b[n:])
		if err != nil || size == 0 {
			return frames, n, err
		}
		frames++
		n += size
	}
}
