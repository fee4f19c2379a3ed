package xmlstream

import (
	"io"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// Unbounded is the budget of a Reader that may read on forever.
const Unbounded = -1

// Reader reads stream headers and whole elements. It never reads more from the peer than the budget
// allows, and keeps what it has read ahead for the next reader. One goroutine at a time uses it.
type Reader struct {
	Conn   io.Reader
	Budget int             // bytes that may still be read; Unbounded: any
	Scan   *stanza.Scanner // of the elements behind a header

	buf []byte // buf[pos:] is unread
	pos int
}

// errBudget is told as policy-violation.
func errBudget() error {
	return &module.StreamError{Condition: "policy-violation", Text: "too many bytes before the stream is ready"}
}

// fill reads more bytes. The deadline is the connection's.
func (r *Reader) fill() error {
	if r.Budget == 0 {
		return errBudget()
	}
	if r.pos > 0 {
		r.buf = append(r.buf[:0], r.buf[r.pos:]...)
		r.pos = 0
	}
	if cap(r.buf)-len(r.buf) < 512 {
		grown := make([]byte, len(r.buf), max(1024, 2*cap(r.buf)))
		copy(grown, r.buf)
		r.buf = grown
	}
	room := r.buf[len(r.buf):cap(r.buf)]
	if r.Budget > 0 && len(room) > r.Budget {
		room = room[:r.Budget]
	}
	n, err := r.Conn.Read(room)
	r.buf = r.buf[:len(r.buf)+n]
	if r.Budget > 0 {
		r.Budget -= n
	}
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// Header returns the bytes of a stream header, an optional XML declaration and a start tag, valid
// until the next call. An error is a *module.StreamError or the connection's.
func (r *Reader) Header() ([]byte, error) {
	for {
		n, err := frameHeader(r.buf[r.pos:])
		if err != nil {
			return nil, err
		}
		if n > 0 {
			h := r.buf[r.pos : r.pos+n]
			r.pos += n
			return h, nil
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// Next returns the next whole element, valid until the next call. An error is a
// *module.StreamError or the connection's.
func (r *Reader) Next() (*stanza.Stanza, error) {
	for {
		st, n, err := r.Scan.Next(r.buf[r.pos:])
		r.pos += n
		switch {
		case err != nil:
			return nil, Error(err)
		case st != nil:
			return st, nil
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// Rest gives away what was read ahead.
func (r *Reader) Rest() []byte { return r.buf[r.pos:] }

// DropSpace forgets what was read ahead if it is white space only, and reports whether it was.
func (r *Reader) DropSpace() bool {
	if SkipSpace(r.buf, r.pos) < len(r.buf) {
		return false
	}
	r.pos = len(r.buf)
	return true
}
