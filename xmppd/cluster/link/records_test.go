package link

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// arrivals is a connection on which bytes come in portions.
type arrivals struct {
	net.Conn
	portions [][]byte
}

func (a *arrivals) Read(p []byte) (int, error) {
	if len(a.portions) == 0 {
		return 0, io.EOF
	}
	n := copy(p, a.portions[0])
	if a.portions[0] = a.portions[0][n:]; len(a.portions[0]) == 0 {
		a.portions = a.portions[1:]
	}
	return n, nil
}

func record(n int) []byte {
	b := make([]byte, recordHeader+n)
	binary.BigEndian.PutUint16(b[recordHeader-2:], uint16(n)) //nolint:gosec // small
	return b
}

// TestRecords: what comes is read as far as possible, given away record by record, and only what has come whole is said to be there.
func TestRecords(t *testing.T) {
	third := record(3000)
	first := append(append(record(100), record(2000)...), third[:recordHeader+10]...)
	c := newRecords(&arrivals{portions: [][]byte{first, third[recordHeader+10:], {1, 2}}})
	buf := make([]byte, 10_000)
	read := func(want int, more bool) {
		t.Helper()
		if n, err := c.Read(buf); n != want || err != nil {
			t.Fatalf("%d bytes (%v), want %d", n, err, want)
		}
		if c.whole() != more {
			t.Errorf("another record: %v", !more)
		}
	}
	read(recordHeader+100, true)
	read(recordHeader+2000, false)
	read(recordHeader+10, false)
	read(3000-10, false)
	read(2, false)                            // what is no record is TLS's to judge
	if _, err := c.Read(buf); err != io.EOF { //nolint:errorlint // as it is
		t.Errorf("at the end: %v", err)
	}
}
