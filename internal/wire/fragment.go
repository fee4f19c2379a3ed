package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/rosterdb/rosterdb/internal/b64"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

const (
	// partOverhead is more than the markup of a part takes, with an id of maxPartID
	// bytes that all need escaping.
	partOverhead = 512
	maxPartID    = 64 // bytes
	minPart      = 1024
	// maxSenders is how many senders may have unfinished elements at a time.
	maxSenders = 1024
)

// Split cuts an element into parts of at most limit bytes each, to be sent as
// messages in order, or returns it alone when it fits. id names the element among
// the sender's; it has at most 64 bytes. A limit below 1 KiB is taken as 1 KiB.
func Split(el []byte, limit int, id string) [][]byte {
	if limit = max(limit, minPart); len(el) <= limit {
		return [][]byte{el}
	}
	s := NewSplitter(el, limit, id)
	parts := make([][]byte, 0, s.of)
	for !s.Done() {
		parts = append(parts, s.Append(nil))
	}
	return parts
}

// ErrTooLarge is in the error of each part of an element that is too large, from the
// one on that is too much.
var ErrTooLarge = errors.New("element too large")

// ErrIncomplete is in the error of a part if earlier parts of its element are missing: they
// were refused, or lost, or have given way to others. Nothing is wrong with the part.
var ErrIncomplete = errors.New("earlier parts are missing")

// Splitter makes the parts of an element one by one, when they are wanted. Unlike
// Split it makes a part of an element that fits one, too: parts are acknowledged
// between data nodes. Not safe for concurrent use.
type Splitter struct {
	el    []byte
	id    string
	size  int // bytes of the element in a part
	n, of int
}

// NewSplitter begins with the first part; see Split for its parameters.
func NewSplitter(el []byte, limit int, id string) *Splitter {
	size := (max(limit, minPart) - partOverhead) / 4 * 3
	return &Splitter{el: el, id: id, size: size, of: max(1, (len(el)+size-1)/size)}
}

// Append appends the next part. It must not be called when Done.
func (s *Splitter) Append(dst []byte) []byte {
	piece := s.el[s.n*s.size : min(len(s.el), (s.n+1)*s.size)]
	dst = slices.Grow(dst, partOverhead+b64.EncodedLen(len(piece)))
	dst = stanza.AppendAttr(append(dst, "<part xmlns='"+NS+"'"...), "id", s.id)
	dst = appendUint(dst, "n", uint64(s.n))
	dst = append(appendUint(dst, "of", uint64(s.of)), '>')
	s.n++
	return append(b64.Append(dst, piece), "</part>"...)
}

// Done tells that there was a last part.
func (s *Splitter) Done() bool { return s.n == s.of }

type partial struct {
	id       string
	next, of uint64
	data     []byte
	over     bool // it is too large; its data is dropped
}

// sender has unfinished elements, oldest first.
type sender struct {
	open []*partial
	last uint64 // Assembler.clock of its newest part
}

// Assembler puts elements together from their parts. It holds at most maxOpen
// unfinished elements a sender and drops that sender's oldest for a new one, so a
// sender costs itself first; of more than 1,024 senders it drops the one that has
// been silent longest. Not safe for concurrent use.
type Assembler struct {
	maxElement, maxOpen int
	maxHeld             int // bytes; 0: no bound
	held                int
	clock               uint64
	senders             map[string]*sender
}

// NewAssembler returns an Assembler for elements of at most maxElement bytes.
func NewAssembler(maxElement, maxOpen int) *Assembler {
	return &Assembler{maxElement: maxElement, maxOpen: maxOpen, senders: map[string]*sender{}}
}

// HoldAtMost bounds the bytes of all senders' unfinished elements together: of the sender that has been
// silent longest all is dropped when there are more. Senders that are gone need not be forgotten then.
func (a *Assembler) HoldAtMost(bytes int) { a.maxHeld = bytes }

// Add takes in one <part/> of the sender from, who is named by the server-stamped
// address. It returns the element when this was its last part: one element of
// well-formed XML within the limits of a stanza but the size. An error says what
// was wrong with the part, or ErrIncomplete; what there is of its element is dropped. A
// part that comes twice is such an error, part 0 begins the element anew.
func (a *Assembler) Add(from string, part []byte) (el []byte, done bool, err error) {
	p := stanza.Parse(part)
	if err := begin(&p, NS, "part"); err != nil {
		return nil, false, err
	}
	var f fields
	id, n, of := textAttr(&p, "id"), f.num(&p, "n", true), f.num(&p, "of", true)
	if f.bad != "" {
		return nil, false, badPayload("%s", f.bad)
	}
	text, err := textOnly(&p)
	e := a.take(from, id)
	if err != nil {
		return nil, false, err
	}
	switch {
	case id == "" || len(id) > maxPartID || of == 0 || n >= of:
		return nil, false, badPayload("part %d of %d of element %.64q", n, of, id)
	case n == 0:
		e = &partial{id: id, of: of}
	case e == nil || e.next < n && e.of == of:
		return nil, false, fmt.Errorf("%w: part %d of element %q; send the element again, whole and under a new id", ErrIncomplete, n, id)
	case e.next != n || e.of != of:
		return nil, false, badPayload("part %d of element %q out of order; send the element again under a new id", n, id)
	}
	if e.over = e.over || len(e.data)+base64.StdEncoding.DecodedLen(len(text)) > a.maxElement+3; e.over {
		if e.data, e.next = nil, n+1; e.next < of {
			a.keep(from, e)
		}
		return nil, false, fmt.Errorf("%w: element %q has more than %d bytes; send less in one request", ErrTooLarge, id, a.maxElement)
	}
	if e.data, err = b64.AppendDecode(e.data, text); err != nil {
		return nil, false, badPayload("part %d of element %q is not base64", n, id)
	}
	if e.next = n + 1; e.next < of {
		a.keep(from, e)
		return nil, false, nil
	}
	if err := wellFormed(e.data); err != nil {
		return nil, false, badPayload("element %q in %d parts: %v", id, of, err)
	}
	return e.data, true, nil
}

// wellFormed checks what no server has looked at: the parts hid it.
func wellFormed(el []byte) error {
	s := stanza.NewScanner(stanza.Limits{MaxStanza: len(el)})
	st, n, err := s.Next(el)
	switch {
	case err != nil:
		return err
	case st == nil || n != len(el) || st.Kind == stanza.StreamEnd:
		return errors.New("not exactly one element")
	}
	return nil
}

// keep enters an unfinished element as the sender's newest.
func (a *Assembler) keep(from string, e *partial) {
	s := a.senders[from]
	if s == nil {
		if len(a.senders) >= maxSenders {
			a.dropSilent()
		}
		s = &sender{}
		a.senders[from] = s
	}
	a.clock++
	s.last = a.clock
	s.open = append(s.open, e)
	a.held += cap(e.data)
	if len(s.open) > a.maxOpen {
		a.held -= cap(s.open[0].data)
		s.open = slices.Delete(s.open, 0, 1)
	}
	for a.maxHeld > 0 && a.held > a.maxHeld && len(a.senders) > 1 {
		a.dropSilent()
	}
}

func (a *Assembler) dropSilent() {
	oldest, last := "", uint64(math.MaxUint64)
	for from, s := range a.senders {
		if s.last < last {
			oldest, last = from, s.last
		}
	}
	a.Forget(oldest)
}

// take removes the unfinished element from the sender's list and returns it.
func (a *Assembler) take(from, id string) *partial {
	s := a.senders[from]
	if s == nil {
		return nil
	}
	i := slices.IndexFunc(s.open, func(e *partial) bool { return e.id == id })
	if i < 0 {
		return nil
	}
	e := s.open[i]
	a.held -= cap(e.data)
	if s.open = slices.Delete(s.open, i, i+1); len(s.open) == 0 {
		delete(a.senders, from)
	}
	return e
}

// Forget drops what a sender has left unfinished, when it is gone.
func (a *Assembler) Forget(from string) {
	if s := a.senders[from]; s != nil {
		for _, e := range s.open {
			a.held -= cap(e.data)
		}
		delete(a.senders, from)
	}
}
