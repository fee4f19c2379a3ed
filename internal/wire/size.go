package wire

import (
	"github.com/rosterdb/rosterdb/internal/b64"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// Bytes of XML around keys and values, with every attribute there and every
// number as long as it can be.
const (
	writeMarkup    = 192
	readMarkup     = 176
	pageMarkup     = 240 // of the reads of pages and changes
	mutationMarkup = 72
	objectMarkup   = 96
	eventMarkup    = 160
	refMarkup      = 24
	scalarMarkup   = 20 // without a string or a number
	numberMarkup   = 34 // an attribute that is rarely there
)

const (
	// MaxRequest is the longest <ops/> in bytes that is put together from parts. Keys
	// and values of the largest batch fit, unless most of it has to be escaped.
	MaxRequest = 2*op.MaxBatch + 64<<10
	// MaxResponse is the longest <results/> likewise: it has room for each object that
	// came in a request, with a piece of its value.
	MaxResponse = MaxRequest + 256<<10
)

const (
	// OpenSize is at least the bytes that an Open takes in a request.
	OpenSize = 64
	// SettleSize is at least the bytes that a Settle takes in a request.
	SettleSize = 128
	// CancelSize is at least the bytes that a tag of Cancels takes in a request.
	CancelSize = 40
)

// ReplySize is at least the bytes that a ReadReply takes in a response, but for its
// objects, its events, and the escaped text and leader.
func ReplySize(r *op.ReadResult) int {
	n := 128 + numberMarkup
	for _, there := range [...]bool{r.Position != 0, r.Time != 0, r.RetryAfter != 0, r.Expiring} {
		if there {
			n += numberMarkup
		}
	}
	return n
}

// WriteSize is at least the bytes that a write takes in a request.
func WriteSize(w *op.Write) int {
	n := writeMarkup + stanza.EscapedLen(w.Root)
	if w.RootCond.Kind != op.Always {
		n += numberMarkup
	}
	for i := range w.Mutations {
		m := &w.Mutations[i]
		n += mutationMarkup + stanza.EscapedLen(m.Path) + ValueSize(len(m.Value)) + refsSize(m.Refs)
		if m.TTL != 0 {
			n += numberMarkup
		}
		if m.Kind == op.Add {
			n += numberMarkup
		}
	}
	return n
}

// ReadSize is at least the bytes that a read takes in a request.
func ReadSize(r *op.Read) int {
	n := readMarkup + stanza.EscapedLen(r.Root) + stanza.EscapedLen(r.Path) + stanza.EscapedLen(r.Prefix) + stanza.EscapedLen(r.After)
	if r.Stale {
		n += numberMarkup
	}
	if r.Kind == op.Get {
		return n
	}
	n += pageMarkup - readMarkup
	n += stanza.EscapedLen(r.AfterRoot) + stanza.EscapedLen(r.Index) + ValueSize(len(r.Cursor))
	return n + scalarSize(r.From) + scalarSize(r.To)
}

// ObjectSize is at least the bytes that an object takes in a response, but for
// its value: see ValueSize.
func ObjectSize(o *op.Object) int {
	n := objectMarkup + stanza.EscapedLen(o.Path) + refsSize(o.Refs)
	if o.Root != "" {
		n += len(" root=''") + stanza.EscapedLen(o.Root)
	}
	if o.Expires != 0 {
		n += numberMarkup
	}
	if o.Key.Kind != 0 {
		n += scalarSize(&o.Key)
	}
	if len(o.Cursor) > 0 {
		n += len(" cursor=''") + ValueSize(len(o.Cursor))
	}
	return n
}

// EventSize is at least the bytes that an event takes in a response, but for its
// value.
func EventSize(e *op.Event) int {
	return eventMarkup + stanza.EscapedLen(e.Root) + stanza.EscapedLen(e.Path)
}

func scalarSize(s *op.Scalar) int {
	if s == nil {
		return 0
	}
	return scalarMarkup + maxNumber + stanza.EscapedLen(s.String)
}

// ValueSize is how many bytes a value of n bytes takes.
func ValueSize(n int) int { return b64.EncodedLen(n) }

func refsSize(refs []op.Ref) int {
	n := 0
	for i := range refs {
		n += refMarkup + stanza.EscapedLen(refs[i].Root) + stanza.EscapedLen(refs[i].Path)
	}
	return n
}
