package wire

import (
	"fmt"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// number names an attribute that holds a decimal number below 2^64.
type number uint8

const (
	nTag number = iota
	nPartition
	nSession
	nSeq
	nFloor
	nRevision
	nVersion
	nIfVersion
	nOffset
	nLimit
	nSize
	numbers
)

// text names an attribute that holds text.
type text uint8

const (
	tRoot text = iota
	tPath
	tIf
	tPrefix
	tAfter
	tCode
	tLeader
	tText
	tMore
	texts
)

// attrs are the attributes of an operation, a result or a part of one, read in one
// pass. Attributes that it does not know are passed over.
type attrs struct {
	num  [numbers]uint64
	has  [numbers]bool
	text [texts][]byte
	set  [texts]bool
	bad  string // the first thing that was wrong
}

// read takes in the attributes of the element that just started.
func (a *attrs) read(p *stanza.Parser) {
	*a = attrs{}
	for {
		name, v, ok := p.NextAttr()
		if !ok {
			return
		}
		if n := numberOf(name); n < numbers {
			u, err := parseUint(v)
			if err != nil {
				a.fail("attribute %s=%.20q is no decimal number below 2^64", name, v)
			}
			a.num[n], a.has[n] = u, true
		} else if t := textOf(name); t < texts {
			a.text[t], a.set[t] = v, true
		}
	}
}

func (a *attrs) fail(format string, args ...any) {
	if a.bad == "" {
		a.bad = fmt.Sprintf(format, args...)
	}
}

// need remembers a missing number as what was wrong.
func (a *attrs) need(n number, name string) uint64 {
	if !a.has[n] {
		a.fail("attribute %s is missing", name)
	}
	return a.num[n]
}

func (a *attrs) str(t text) string { return string(a.text[t]) }

// code is op.Unknown where the name is missing or of a later version of the
// protocol: whatever it says, nothing may be concluded from it.
func (a *attrs) code() op.Code { return codeOf(a.text[tCode]) }

func numberOf(name []byte) number {
	switch string(name) {
	case "tag":
		return nTag
	case "partition":
		return nPartition
	case "session":
		return nSession
	case "seq":
		return nSeq
	case "floor":
		return nFloor
	case "revision":
		return nRevision
	case "version":
		return nVersion
	case "if-version":
		return nIfVersion
	case "offset":
		return nOffset
	case "limit":
		return nLimit
	case "size":
		return nSize
	}
	return numbers
}

func textOf(name []byte) text {
	switch string(name) {
	case "root":
		return tRoot
	case "path":
		return tPath
	case "if":
		return tIf
	case "prefix":
		return tPrefix
	case "after":
		return tAfter
	case "code":
		return tCode
	case "leader":
		return tLeader
	case "text":
		return tText
	case "more":
		return tMore
	}
	return texts
}

func parseUint(b []byte) (uint64, error) {
	const surely = 19 // digits that are surely below 2^64
	if len(b) == 0 || len(b) > surely {
		return strconv.ParseUint(string(b), 10, 64)
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, strconv.ErrSyntax
		}
		n = n*10 + uint64(c-'0')
	}
	return n, nil
}

// fields reads attributes by name, for elements that are not worth a pass of
// their own, and remembers the first that is wrong.
type fields struct{ bad string }

func (f *fields) num(p *stanza.Parser, name string, required bool) uint64 {
	v, ok := p.Attr(name)
	if !ok {
		if required && f.bad == "" {
			f.bad = "attribute " + name + " is missing"
		}
		return 0
	}
	n, err := parseUint(v)
	if err != nil && f.bad == "" {
		f.bad = fmt.Sprintf("attribute %s=%.20q is no decimal number below 2^64", name, v)
	}
	return n
}

func textAttr(p *stanza.Parser, name string) string {
	v, _ := p.Attr(name)
	return string(v)
}
