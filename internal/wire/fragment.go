package wire

import (
	"encoding/base64"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// partOverhead is more than the markup of a part with an id of 64 bytes takes.
const partOverhead = 256

// Split cuts an element into parts of at most max bytes each, to be sent as
// messages in order, or returns it alone when it fits. id names the element among
// the sender's; it has at most 64 bytes. max is at least 1 KiB.
func Split(el []byte, max int, id string) [][]byte {
	if len(el) <= max {
		return [][]byte{el}
	}
	size := (max - partOverhead) / 4 * 3
	of := (len(el) + size - 1) / size
	parts := make([][]byte, 0, of)
	for n := 0; n < of; n++ {
		piece := el[n*size : min(len(el), (n+1)*size)]
		p := append(make([]byte, 0, partOverhead+base64.StdEncoding.EncodedLen(len(piece))), "<part xmlns='"+NS+"'"...)
		p = stanza.AppendAttr(p, "id", id)
		p = appendUint(p, "n", uint64(n))
		p = append(appendUint(p, "of", uint64(of)), '>')
		p = base64.StdEncoding.AppendEncode(p, piece)
		parts = append(parts, append(p, "</part>"...))
	}
	return parts
}

type partial struct {
	id       string
	next, of uint64
	data     []byte
}

// Assembler puts elements together from their parts. It holds at most maxOpen
// unfinished elements a sender and drops that sender's oldest for a new one, so a
// sender only ever costs itself. Not safe for concurrent use.
type Assembler struct {
	maxElement, maxOpen int
	open                map[string][]*partial // by sender, oldest first
}

// NewAssembler returns an Assembler for elements of at most maxElement bytes.
func NewAssembler(maxElement, maxOpen int) *Assembler {
	return &Assembler{maxElement, maxOpen, map[string][]*partial{}}
}

// Add takes in one <part/> of the sender from, who is named by the server-stamped
// address. It returns the element when this was its last part. An error says
// what was wrong with the part; its element is dropped.
func (a *Assembler) Add(from string, part []byte) (el []byte, done bool, err error) {
	p := stanza.Parse(part)
	if err := begin(&p, NS, "part"); err != nil {
		return nil, false, err
	}
	f := fields{p: &p}
	id, n, of := f.str("id"), f.num("n", true), f.num("of", true)
	if f.bad != "" {
		return nil, false, badPayload("%s", f.bad)
	}
	text := p.Content()
	e := a.take(from, id)
	switch {
	case id == "" || len(id) > 64 || of == 0 || n >= of:
		return nil, false, badPayload("part %d of %d of element %.64q", n, of, id)
	case n == 0:
		e = &partial{id: id, of: of}
	case e == nil || e.next != n || e.of != of:
		return nil, false, badPayload("part %d of element %q out of order; send the element again under a new id", n, id)
	}
	if len(e.data)+base64.StdEncoding.DecodedLen(len(text)) > a.maxElement+3 {
		return nil, false, badPayload("element %q is larger than %d bytes", id, a.maxElement)
	}
	if e.data, err = base64.StdEncoding.AppendDecode(e.data, text); err != nil {
		return nil, false, badPayload("part %d of element %q is not base64", n, id)
	}
	if e.next = n + 1; e.next == of {
		return e.data, true, nil
	}
	open := append(a.open[from], e)
	if len(open) > a.maxOpen {
		open = open[1:]
	}
	a.open[from] = open
	return nil, false, nil
}

// take removes the unfinished element from the sender's list and returns it.
func (a *Assembler) take(from, id string) *partial {
	open := a.open[from]
	for i, e := range open {
		if e.id != id {
			continue
		}
		if len(open) == 1 {
			delete(a.open, from)
		} else {
			a.open[from] = append(open[:i:i], open[i+1:]...)
		}
		return e
	}
	return nil
}

// Forget drops what a sender has left unfinished, when it is gone.
func (a *Assembler) Forget(from string) { delete(a.open, from) }
