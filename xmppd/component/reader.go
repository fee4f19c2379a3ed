package component

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

const (
	nsComponent = "jabber:component:accept"
	nsStream    = "http://etherx.jabber.org/streams"
	nsErrors    = "urn:ietf:params:xml:ns:xmpp-streams"
	maxHeader   = 4 << 10 // bytes
)

// reader takes a component's stream apart.
type reader struct {
	conn net.Conn
	scan *stanza.Scanner
	buf  []byte
	pos  int // buf[pos:] is unread
}

// more reports whether there are bytes that next has not looked at.
func (r *reader) more() bool { return r.pos < len(r.buf) }

func (r *reader) fill() error {
	if r.pos > 0 {
		r.buf = append(r.buf[:0], r.buf[r.pos:]...)
		r.pos = 0
	}
	if cap(r.buf)-len(r.buf) < 1<<10 {
		grown := make([]byte, len(r.buf), max(readSize, 2*cap(r.buf)))
		copy(grown, r.buf)
		r.buf = grown
	}
	n, err := r.conn.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// header reads the stream header and returns the domain that the component wants to be.
func (r *reader) header() (domain string, err error) {
	for {
		if end := headerEnd(r.buf); end > 0 {
			r.pos = end
			return parseHeader(r.buf[:end])
		}
		if len(r.buf) > maxHeader {
			return "", &module.StreamError{Condition: "policy-violation", Text: "the stream header is too long"}
		}
		if err := r.fill(); err != nil {
			return "", err
		}
	}
}

// headerEnd is the offset behind the start tag of the stream; 0 while it isn't whole.
func headerEnd(b []byte) int {
	start := 0
	if i := bytes.Index(b, []byte("?>")); i >= 0 {
		start = i + 2
	} else if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("<?")) {
		return 0
	}
	var quote byte
	for i := start; i < len(b); i++ {
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return 0
}

func parseHeader(raw []byte) (domain string, err error) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, &module.StreamError{Condition: "unsupported-encoding", Text: "XMPP is UTF-8, not " + charset}
	}
	for {
		tok, err := d.Token()
		if err != nil {
			var se *module.StreamError
			if errors.As(err, &se) {
				return "", se
			}
			return "", &module.StreamError{Condition: "not-well-formed"}
		}
		switch el := tok.(type) {
		case xml.Comment, xml.Directive:
			return "", &module.StreamError{Condition: "restricted-xml"}
		case xml.StartElement:
			return checkHeader(el, raw)
		}
	}
}

func checkHeader(el xml.StartElement, raw []byte) (domain string, err error) {
	if el.Name.Space != nsStream || el.Name.Local != "stream" || !bytes.Contains(raw, []byte("<stream:stream")) {
		return "", &module.StreamError{Condition: "invalid-namespace", Text: "the first element must be stream:stream of " + nsStream}
	}
	ns := ""
	for _, a := range el.Attr {
		switch {
		case a.Name.Space == "" && a.Name.Local == "to":
			domain = a.Value
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			ns = a.Value
		}
	}
	if ns != nsComponent {
		return "", &module.StreamError{Condition: "invalid-namespace", Text: "the default namespace must be " + nsComponent}
	}
	j, err := stanza.ParseJID(domain)
	if err != nil || j.Local != "" || j.Resource != "" {
		return "", &module.StreamError{Condition: "host-unknown", Text: "say which domain you are: to='domain'"}
	}
	return j.Domain, nil
}

// next returns the next element, valid until the next call. A stanza that repeats the component
// namespace is returned without it, as clients know it.
func (r *reader) next() (*stanza.Stanza, error) {
	for {
		st, n, err := r.scan.Next(r.buf[r.pos:])
		r.pos += n
		switch {
		case err != nil:
			var se *stanza.Error
			if errors.As(err, &se) {
				return nil, &module.StreamError{Condition: se.Condition, Text: se.Text}
			}
			return nil, err
		case st == nil:
			if err := r.fill(); err != nil {
				return nil, err
			}
		case st.Kind == stanza.StreamEnd, st.Kind == stanza.Nonza && string(st.Get(st.Name)) == "stream:error":
			return nil, errEnd
		case st.Kind == stanza.Nonza:
			return asStanza(st)
		default:
			return st, nil
		}
	}
}

// asStanza turns an element of the component namespace into the stanza it is.
func asStanza(st *stanza.Stanza) (*stanza.Stanza, error) {
	p := stanza.Parse(st.Raw)
	p.Next()
	if string(p.NS()) != nsComponent {
		return st, nil
	}
	plain, err := stanza.One(withoutNamespace(st.Raw))
	if err != nil {
		return nil, &module.StreamError{Condition: "invalid-xml"}
	}
	return plain, nil
}

// withoutNamespace cuts the declaration of the default namespace out of the first tag of a stanza:
// inside a stream it is that of the stream. The bytes are returned as they are if there is none.
func withoutNamespace(raw []byte) []byte {
	var quote byte
	for i, c := range raw {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '>':
			return raw
		case c == 'x' && isSpace(raw[i-1]) && bytes.HasPrefix(raw[i:], []byte("xmlns")):
			if end := valueEnd(raw, i+len("xmlns")); end > 0 {
				return append(append(make([]byte, 0, len(raw)), raw[:i-1]...), raw[end:]...)
			}
		}
	}
	return raw
}

// valueEnd is the offset behind an attribute's value whose name ended at i; 0 if the name goes on.
func valueEnd(raw []byte, i int) int {
	for i < len(raw) && isSpace(raw[i]) {
		i++
	}
	if i >= len(raw) || raw[i] != '=' {
		return 0
	}
	for i++; i < len(raw) && isSpace(raw[i]); i++ {
	}
	if i >= len(raw) {
		return 0
	}
	n := bytes.IndexByte(raw[i+1:], raw[i])
	if n < 0 {
		return 0
	}
	return i + 1 + n + 1
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func newID() (string, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("make stream id: %w", err)
	}
	return hex.EncodeToString(id[:]), nil
}

func header(from, id string) string {
	out := []byte("<?xml version='1.0'?><stream:stream xmlns='" + nsComponent + "' xmlns:stream='" + nsStream + "'")
	if from != "" {
		out = stanza.AppendAttr(out, "from", from)
	}
	return string(append(stanza.AppendAttr(out, "id", id), '>'))
}

func streamError(e *module.StreamError) string {
	out := []byte("<stream:error><" + e.Condition + " xmlns='" + nsErrors + "'/>")
	if e.Text != "" {
		out = append(out, "<text xmlns='"+nsErrors+"' xml:lang='en'>"...)
		out = append(stanza.AppendEscaped(out, e.Text), "</text>"...)
	}
	return string(append(out, "</stream:error></stream:stream>"...))
}
