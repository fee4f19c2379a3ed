package wire

import (
	"encoding/base64"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// Bytes of XML around keys and values, with every attribute there and every
// number as long as it can be.
const (
	writeMarkup    = 192
	readMarkup     = 144
	mutationMarkup = 72
	objectMarkup   = 96
	refMarkup      = 24
)

const (
	// OpenSize is at least the bytes that an Open takes in a request.
	OpenSize = 64
	// ReplyMarkup is at least the bytes that a ReadReply without objects, text
	// and leader takes in a response.
	ReplyMarkup = 128
)

// WriteSize is at least the bytes that a write takes in a request.
func WriteSize(w *op.Write) int {
	n := writeMarkup + stanza.EscapedLen(w.Root)
	for i := range w.Mutations {
		m := &w.Mutations[i]
		n += mutationMarkup + stanza.EscapedLen(m.Path) + ValueSize(len(m.Value)) + refsSize(m.Refs)
	}
	return n
}

// ReadSize is at least the bytes that a read takes in a request.
func ReadSize(r *op.Read) int {
	return readMarkup + stanza.EscapedLen(r.Root) + stanza.EscapedLen(r.Path) + stanza.EscapedLen(r.Prefix) + stanza.EscapedLen(r.After)
}

// ObjectSize is at least the bytes that an object takes in a response, but for
// its value: see ValueSize.
func ObjectSize(o *op.Object) int {
	return objectMarkup + stanza.EscapedLen(o.Path) + refsSize(o.Refs)
}

// ValueSize is how many bytes a value of n bytes takes.
func ValueSize(n int) int { return base64.StdEncoding.EncodedLen(n) }

func refsSize(refs []op.Ref) int {
	n := 0
	for i := range refs {
		n += refMarkup + stanza.EscapedLen(refs[i].Root) + stanza.EscapedLen(refs[i].Path)
	}
	return n
}
