package c2s

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"unicode/utf8"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// source reads stream headers and whole elements while a stream is negotiated. It never reads more
// from the peer than the budget allows, and keeps what it has read ahead for the next reader.
type source struct {
	conn   net.Conn
	buf    []byte // buf[pos:] is unread
	pos    int
	budget int // bytes that may still be read
	scan   *stanza.Scanner
}

const maxHeader = 4 << 10 // bytes of a stream header, XML declaration included

// errBudget is told as policy-violation.
var errBudget = &router.StreamError{Condition: "policy-violation", Text: "too many bytes before the stream is ready"}

// fill reads more bytes. The deadline is the connection's.
func (s *source) fill() error {
	if s.budget <= 0 {
		return errBudget
	}
	if s.pos > 0 {
		s.buf = append(s.buf[:0], s.buf[s.pos:]...)
		s.pos = 0
	}
	if cap(s.buf)-len(s.buf) < 512 {
		grown := make([]byte, len(s.buf), max(1024, 2*cap(s.buf)))
		copy(grown, s.buf)
		s.buf = grown
	}
	room := s.buf[len(s.buf):cap(s.buf)]
	if len(room) > s.budget {
		room = room[:s.budget]
	}
	n, err := s.conn.Read(room)
	s.buf = s.buf[:len(s.buf)+n]
	s.budget -= n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// header returns the bytes of a stream header: an optional XML declaration and a start tag.
func (s *source) header() ([]byte, error) {
	for {
		n, err := frameHeader(s.buf[s.pos:])
		if err != nil {
			return nil, err
		}
		if n > 0 {
			h := s.buf[s.pos : s.pos+n]
			s.pos += n
			return h, nil
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// frameHeader finds the end of the header; 0 when more bytes are needed.
func frameHeader(b []byte) (int, error) {
	pos := skipSpace(b, 0)
	if bytes.HasPrefix(b[pos:], []byte("<?xml")) {
		end := bytes.Index(b[pos:], []byte("?>"))
		if end < 0 {
			return 0, checkHeaderLen(b)
		}
		pos = skipSpace(b, pos+end+2)
	}
	if len(b)-pos < 2 {
		return 0, checkHeaderLen(b)
	}
	switch {
	case foreignEncoding(b[pos:]):
		return 0, &router.StreamError{Condition: "unsupported-encoding", Text: "XMPP is UTF-8"}
	case b[pos] != '<':
		return 0, &router.StreamError{Condition: "not-well-formed", Text: "this is no XML stream"}
	case b[pos+1] == '?':
		if len(b)-pos < 5 && bytes.HasPrefix([]byte("<?xml"), b[pos:]) {
			return 0, nil
		}
		return 0, &router.StreamError{Condition: "restricted-xml"}
	case b[pos+1] == '!':
		return 0, &router.StreamError{Condition: "restricted-xml"}
	}
	var quote byte
	for i := pos; i < len(b); i++ {
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '>':
			if i+1 > maxHeader {
				return 0, errHeader
			}
			return i + 1, nil
		}
	}
	return 0, checkHeaderLen(b)
}

// foreignEncoding tells what is not UTF-8 by its first bytes, two at least: UTF-16 and UTF-32 begin
// with a NUL, have one behind '<', or begin with a mark (RFC 6120 section 11.6).
func foreignEncoding(b []byte) bool {
	r, n := utf8.DecodeRune(b)
	return b[0] == 0 || b[1] == 0 || r == utf8.RuneError && n == 1 && utf8.FullRune(b)
}

var errHeader = &router.StreamError{Condition: "policy-violation", Text: fmt.Sprintf("a stream header has at most %d bytes", maxHeader)}

func checkHeaderLen(b []byte) error {
	if len(b) > maxHeader {
		return errHeader
	}
	return nil
}

func skipSpace(b []byte, pos int) int {
	for pos < len(b) && (b[pos] == ' ' || b[pos] == '\t' || b[pos] == '\r' || b[pos] == '\n') {
		pos++
	}
	return pos
}

// next returns the next whole element. It is valid until the next call.
func (s *source) next() (*stanza.Stanza, error) {
	for {
		st, n, err := s.scan.Next(s.buf[s.pos:])
		s.pos += n
		switch {
		case err != nil:
			return nil, scanError(err)
		case st != nil:
			return st, nil
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// scanError makes a stream error of a scanner's.
func scanError(err error) error {
	var se *stanza.Error
	if errors.As(err, &se) {
		return &router.StreamError{Condition: se.Condition, Text: se.Text}
	}
	return err
}

// rest gives away what was read ahead.
func (s *source) rest() []byte { return s.buf[s.pos:] }

// dropSpace forgets what was read ahead if it is white space only, and reports whether it was.
func (s *source) dropSpace() bool {
	if skipSpace(s.buf, s.pos) < len(s.buf) {
		return false
	}
	s.pos = len(s.buf)
	return true
}
