package component

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

const nsComponent = "jabber:component:accept"

// readHeader reads the stream header and returns the domain that the component wants to be.
func readHeader(in *xmlstream.Reader) (domain string, err error) {
	raw, err := in.Header()
	if err != nil {
		return "", err
	}
	return parseHeader(raw)
}

func parseHeader(raw []byte) (domain string, err error) {
	el, err := xmlstream.ParseHeader(raw)
	if err != nil {
		return "", err
	}
	attr := make(map[xml.Name]string)
	for _, a := range el.Attr {
		attr[a.Name] = a.Value
	}
	if attr[xml.Name{Local: "xmlns"}] != nsComponent {
		return "", &module.StreamError{Condition: "invalid-namespace", Text: "the default namespace must be " + nsComponent}
	}
	j, err := stanza.ParseJID(attr[xml.Name{Local: "to"}])
	if err != nil || j.Local != "" || j.Resource != "" {
		return "", &module.StreamError{Condition: "host-unknown", Text: "say which domain you are: to='domain'"}
	}
	return j.Domain, nil
}

// next returns the next element, valid until the next call. A stanza that repeats the component
// namespace is returned without it, as clients know it.
func next(in *xmlstream.Reader) (*stanza.Stanza, error) {
	st, err := in.Next()
	switch {
	case err != nil:
		return nil, err
	case st.Kind == stanza.StreamEnd, st.Kind == stanza.Nonza && string(st.Get(st.Name)) == "stream:error":
		return nil, errEnd
	case st.Kind == stanza.Nonza:
		return asStanza(st)
	}
	return st, nil
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
	out := []byte("<?xml version='1.0'?><stream:stream xmlns='" + nsComponent + "' xmlns:stream='" + xmlstream.NS + "'")
	if from != "" {
		out = stanza.AppendAttr(out, "from", from)
	}
	return string(append(stanza.AppendAttr(out, "id", id), '>'))
}
