package wire

import (
	"fmt"
	"math"
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
	nIfRevision
	nOffset
	nLimit
	nSize
	nTTL
	nStale
	nSince
	nSkip
	nWait
	nPosition
	nTime
	nExpires
	nRetryAfter
	nWith
	nTerm
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
	tAfterRoot
	tCode
	tLeader
	tText
	tMore
	tExpiring
	tDelta
	tCount
	tValues
	tRoots
	tDesc
	tIndex
	tCursor
	tKind
	tSuperseded
	tNull
	tBool
	tNumber
	tString
	texts
)

// attrs are the attributes of an operation, a result or a part of one, read in one
// pass. Attributes that it does not know are passed over.
type attrs struct {
	hasNum  uint32 // bit n: number n is there
	hasText uint32
	nums    [numbers]uint64
	texts   [texts][]byte
	bad     string // the first thing that was wrong
}

// read takes in the attributes of the element that just started.
func (a *attrs) read(p *stanza.Parser) {
	a.hasNum, a.hasText, a.bad = 0, 0, ""
	for {
		name, v, ok := p.NextAttr()
		if !ok {
			return
		}
		if n := numberOf(name); n < numbers {
			u, err := parseUint(v)
			if err != nil {
				a.fail("attribute %s=%.20q is no decimal number below 2^64", name, v)
				u = 0
			}
			a.nums[n] = u
			a.hasNum |= 1 << n
		} else if t := textOf(name); t < texts {
			a.texts[t] = v
			a.hasText |= 1 << t
		}
	}
}

func (a *attrs) fail(format string, args ...any) {
	if a.bad == "" {
		a.bad = fmt.Sprintf(format, args...)
	}
}

func (a *attrs) has(n number) bool { return a.hasNum&(1<<n) != 0 }

func (a *attrs) set(t text) bool { return a.hasText&(1<<t) != 0 }

// num is 0 where the number is not there.
func (a *attrs) num(n number) uint64 {
	if !a.has(n) {
		return 0
	}
	return a.nums[n]
}

// signed is a number that is kept as an int64; what is too large stays too large
// for every limit.
func (a *attrs) signed(n number) int64 { return int64(min(a.num(n), math.MaxInt64)) }

// need remembers a missing number as what was wrong.
func (a *attrs) need(n number, name string) uint64 {
	if !a.has(n) {
		a.fail("attribute %s is missing", name)
	}
	return a.num(n)
}

// raw is the text as it is in the element, nil where it is not there.
func (a *attrs) raw(t text) []byte {
	if !a.set(t) {
		return nil
	}
	return a.texts[t]
}

func (a *attrs) str(t text) string { return string(a.raw(t)) }

// flag is a boolean of XML Schema; absent is false.
func (a *attrs) flag(t text, name string) bool {
	switch string(a.raw(t)) {
	case "1", "true":
		return true
	case "0", "false":
		return false
	}
	if a.set(t) {
		a.fail("attribute %s=%.20q is neither 1 nor 0", name, a.raw(t))
	}
	return false
}

// integer is a decimal number that may be negative.
func (a *attrs) integer(t text, name string) int64 {
	v, err := strconv.ParseInt(string(a.raw(t)), 10, 64)
	if err != nil {
		a.fail("attribute %s=%.20q is no whole number from -2^63 to 2^63-1", name, a.raw(t))
	}
	return v
}

// code is op.Unknown where the name is missing or of a later version of the
// protocol: whatever it says, nothing may be concluded from it.
func (a *attrs) code() op.Code { return codeOf(a.raw(tCode)) }

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
	case "if-revision":
		return nIfRevision
	case "offset":
		return nOffset
	case "limit":
		return nLimit
	case "size":
		return nSize
	case "ttl":
		return nTTL
	case "stale":
		return nStale
	case "since":
		return nSince
	case "skip":
		return nSkip
	case "wait":
		return nWait
	case "position":
		return nPosition
	case "time":
		return nTime
	case "expires":
		return nExpires
	case "retry-after":
		return nRetryAfter
	case "with":
		return nWith
	case "term":
		return nTerm
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
	case "after-root":
		return tAfterRoot
	case "code":
		return tCode
	case "leader":
		return tLeader
	case "text":
		return tText
	case "more":
		return tMore
	case "expiring":
		return tExpiring
	case "delta":
		return tDelta
	case "count":
		return tCount
	case "values":
		return tValues
	case "roots":
		return tRoots
	case "desc":
		return tDesc
	case "index":
		return tIndex
	case "cursor":
		return tCursor
	case "kind":
		return tKind
	case "superseded":
		return tSuperseded
	case "null":
		return tNull
	case "bool":
		return tBool
	case "number":
		return tNumber
	case "string":
		return tString
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
