package websocket

import (
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
)

// errTooLong is a frame longer than any message may be.
var errTooLong = errors.New("frame is too long")

// parseFrame reads a frame's header (RFC 6455 section 5.2) from the beginning of b. n is the length
// of the header; 0 when more bytes are needed.
func parseFrame(b []byte) (h ws.Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.Fin, h.Rsv, h.OpCode = b[0]&0x80 != 0, b[0]>>4&7, ws.OpCode(b[0]&0x0f)
	h.Masked = b[1]&0x80 != 0
	n = 2
	switch length := b[1] & 0x7f; length {
	case 126:
		if len(b) < 4 {
			return h, 0, nil
		}
		h.Length, n = int64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return h, 0, nil
		}
		length := binary.BigEndian.Uint64(b[2:])
		if length > 1<<40 {
			return h, 0, errTooLong
		}
		h.Length, n = int64(length), 10
	default:
		h.Length = int64(length)
	}
	if h.Masked {
		if len(b) < n+4 {
			return h, 0, nil
		}
		copy(h.Mask[:], b[n:])
		n += 4
	}
	return h, n, nil
}

// appendFrame appends the header of an unmasked frame that is a whole message.
func appendFrame(dst []byte, op ws.OpCode, length int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case length < 126:
		return append(dst, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length)) //nolint:gosec // checked
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length)) //nolint:gosec // not negative
}
