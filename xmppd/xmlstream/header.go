package xmlstream

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// NS is the namespace of the stream element (RFC 6120 section 4.8.1).
const NS = "http://etherx.jabber.org/streams"

const maxHeader = 4 << 10 // bytes of a stream header, XML declaration included

// ParseHeader reads the start tag of a stream, which Header has returned (RFC 6120 section 4.7). An
// error is a *module.StreamError.
func ParseHeader(raw []byte) (xml.StartElement, error) {
	// encoding/xml lets through what is no XML with namespaces.
	if err := stanza.CheckHeader(raw[tagStart(raw):], stanza.Limits{}); err != nil {
		return xml.StartElement{}, Error(err)
	}
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, &module.StreamError{Condition: "unsupported-encoding", Text: "XMPP is UTF-8, not " + charset}
	}
	for {
		tok, err := d.Token()
		if err != nil {
			var se *module.StreamError
			if errors.As(err, &se) {
				return xml.StartElement{}, se
			}
			return xml.StartElement{}, &module.StreamError{Condition: "not-well-formed"}
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		switch {
		case start.Name.Space != NS:
			err = &module.StreamError{Condition: "invalid-namespace", Text: "a stream element is of " + NS}
		case start.Name.Local != "stream":
			err = &module.StreamError{Condition: "bad-format", Text: "the first element must be a stream"}
		case !bytes.Contains(raw, []byte("<stream:stream")):
			err = &module.StreamError{Condition: "bad-namespace-prefix", Text: "use the prefix stream"}
		}
		return start, err
	}
}

// tagStart is where the start tag behind an XML declaration begins.
func tagStart(raw []byte) int {
	pos := SkipSpace(raw, 0)
	if bytes.HasPrefix(raw[pos:], []byte("<?xml")) {
		if n := bytes.Index(raw[pos:], []byte("?>")); n >= 0 {
			pos = SkipSpace(raw, pos+n+2)
		}
	}
	return pos
}

// frameHeader finds the end of the header; 0 when more bytes are needed.
func frameHeader(b []byte) (int, error) {
	pos := SkipSpace(b, 0)
	if bytes.HasPrefix(b[pos:], []byte("<?xml")) {
		end := bytes.Index(b[pos:], []byte("?>"))
		if end < 0 {
			return 0, checkHeaderLen(b)
		}
		pos = SkipSpace(b, pos+end+2)
	}
	if len(b)-pos < 2 {
		return 0, checkHeaderLen(b)
	}
	switch {
	case foreignEncoding(b[pos:]):
		return 0, &module.StreamError{Condition: "unsupported-encoding", Text: "XMPP is UTF-8"}
	case b[pos] != '<':
		return 0, &module.StreamError{Condition: "not-well-formed", Text: "this is no XML stream"}
	case b[pos+1] == '?':
		if len(b)-pos < 5 && bytes.HasPrefix([]byte("<?xml"), b[pos:]) {
			return 0, nil
		}
		return 0, &module.StreamError{Condition: "restricted-xml"}
	case b[pos+1] == '!':
		return 0, &module.StreamError{Condition: "restricted-xml"}
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
				return 0, errHeader()
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

func errHeader() error {
	return &module.StreamError{Condition: "policy-violation", Text: fmt.Sprintf("a stream header has at most %d bytes", maxHeader)}
}

func checkHeaderLen(b []byte) error {
	if len(b) > maxHeader {
		return errHeader()
	}
	return nil
}

// SkipSpace returns the offset of the first byte from pos on that is no white space of XML.
func SkipSpace(b []byte, pos int) int {
	for pos < len(b) && (b[pos] == ' ' || b[pos] == '\t' || b[pos] == '\r' || b[pos] == '\n') {
		pos++
	}
	return pos
}
