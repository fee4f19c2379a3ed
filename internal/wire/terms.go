package wire

import (
	"bytes"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// MaxTerms is how many partitions a <terms/> may ask about.
const MaxTerms = 512

// TermSize is at least the bytes that a number takes in a <terms/>.
const TermSize = 21

// AppendTerms appends the <terms/> element. A question has the member that is asked and
// the numbers of partitions; the answer has the member that answers and, in the same
// order, the highest term of each in which it has taken part, 0 where it says nothing.
func AppendTerms(dst []byte, member uint64, numbers []uint64) []byte {
	dst = append(appendUint(append(dst, "<terms xmlns='"+NS+"'"...), "member", member), '>')
	for i, n := range numbers {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = strconv.AppendUint(dst, n, 10)
	}
	return append(dst, "</terms>"...)
}

// ParseTerms takes in a <terms/> element and appends its numbers to dst.
func ParseTerms(el []byte, dst []uint64) (member uint64, numbers []uint64, err error) {
	p := stanza.Parse(el)
	if err := begin(&p, NS, "terms"); err != nil {
		return 0, nil, err
	}
	var f fields
	if member = f.num(&p, "member", true); f.bad != "" {
		return 0, nil, badPayload("%s", f.bad)
	}
	text, err := textOnly(&p)
	if err != nil {
		return 0, nil, err
	}
	used := len(dst)
	for len(text) > 0 {
		word, rest, _ := bytes.Cut(text, []byte{' '})
		n, err := parseUint(word)
		switch {
		case err != nil:
			return 0, nil, badPayload("terms: %.20q is no decimal number below 2^64", word)
		case len(dst)-used == MaxTerms:
			return 0, nil, badPayload("more than %d partitions", MaxTerms)
		}
		dst, text = append(dst, n), rest
	}
	return member, dst, nil
}
