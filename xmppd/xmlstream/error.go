package xmlstream

import (
	"errors"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// nsErrors is the namespace of the conditions of stream errors.
const nsErrors = "urn:ietf:params:xml:ns:xmpp-streams"

// Error makes a *module.StreamError of a scanner's error; every other one stays as it is.
func Error(err error) error {
	var se *stanza.Error
	if errors.As(err, &se) {
		return &module.StreamError{Condition: se.Condition, Text: se.Text}
	}
	return err
}

// AppendError appends a stream error and the end of the stream.
func AppendError(dst []byte, e *module.StreamError) []byte {
	dst = append(dst, "<stream:error><"+e.Condition+" xmlns='"+nsErrors+"'"...)
	if e.Host == "" {
		dst = append(dst, "/>"...)
	} else {
		dst = append(stanza.AppendEscaped(append(dst, '>'), e.Host), "</"+e.Condition+">"...)
	}
	if e.Text != "" {
		dst = append(dst, "<text xmlns='"+nsErrors+"' xml:lang='en'>"...)
		dst = stanza.AppendEscaped(dst, e.Text)
		dst = append(dst, "</text>"...)
	}
	return append(append(dst, e.App...), "</stream:error></stream:stream>"...)
}
