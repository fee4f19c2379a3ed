package stanza

import "fmt"

// CheckHeader checks the start tag that opens a stream, without an XML declaration before it, by the
// rules and limits of a Scanner: well-formedness, prefixes, UTF-8, restricted XML. tag must end with
// its '>'. An error is an *Error.
func CheckHeader(tag []byte, l Limits) error {
	s := NewScanner(l)
	s.header, s.state = true, atOpen
	if len(tag) > s.lim.MaxStanza {
		s.fail("policy-violation", fmt.Sprintf("stream header larger than %d bytes", s.lim.MaxStanza))
		return s.err
	}
	switch {
	case len(tag) == 0 || tag[0] != '<':
		s.malformed("text instead of a stream header")
	case s.run(tag) == failed:
	case s.state != inText || len(s.stack) != 1 || s.pos != len(tag):
		s.malformed("unfinished stream header")
	}
	if s.err != nil {
		return s.err
	}
	return nil
}
