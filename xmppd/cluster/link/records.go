package link

import (
	"bufio"
	"encoding/binary"
	"net"
)

// recordHeader is the length of what comes before each record of TLS; its last two bytes say how long the rest is
// (RFC 8446 section 5.1).
const recordHeader = 5

// records is a connection below TLS that knows whether another record has come. It reads far ahead, for crypto/tls, which
// is given no more than one record at a time, reads little. One goroutine reads.
type records struct {
	net.Conn
	r    *bufio.Reader
	left int // bytes of the record that is being read
}

func newRecords(c net.Conn) *records {
	return &records{Conn: c, r: bufio.NewReaderSize(c, readBuffer)}
}

// Read implements net.Conn.
func (c *records) Read(p []byte) (int, error) {
	if c.left == 0 {
		if h, err := c.r.Peek(recordHeader); err == nil {
			c.left = c.length(h)
		} else if c.r.Buffered() == 0 {
			return 0, err //nolint:wrapcheck // of the connection
		}
	}
	if c.left == 0 { // the beginning of a record, and nothing comes behind it: TLS says so
		return c.r.Read(p)
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err //nolint:wrapcheck // of the connection
}

// whole reports whether a record can be read without waiting.
func (c *records) whole() bool {
	if c.left > 0 || c.r.Buffered() < recordHeader {
		return false
	}
	h, err := c.r.Peek(recordHeader)
	return err == nil && c.r.Buffered() >= c.length(h)
}

func (*records) length(header []byte) int {
	return recordHeader + int(binary.BigEndian.Uint16(header[recordHeader-2:]))
}
