package backup

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// strict refuses what encoding/json reads as something else than is written, in a line
// that it has read: a lone surrogate, which it replaces; a member whose name differs in
// case; and a member given twice, of which it takes the last.
func strict(line []byte) error {
	var open [][]string // the members seen so far of each object around
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '{':
			open = append(open, nil)
		case '}':
			open = open[:len(open)-1]
		case '"':
			text, err := quoted(line[i+1:])
			if err != nil {
				return err
			}
			i += len(text) + 1 // at the closing quote
			if !bytes.HasPrefix(bytes.TrimLeft(line[i+1:], " \t\r\n"), []byte(":")) {
				continue // a value
			}
			last := len(open) - 1
			switch {
			case bytes.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' && r < 'a' || r > 'z' }):
				return fmt.Errorf("member %q: names are of small letters, without escapes", text)
			case slices.Contains(open[last], string(text)):
				return fmt.Errorf("member %q is given twice: which one?", text)
			}
			open[last] = append(open[last], string(text))
		}
	}
	return nil
}

// quoted returns what is before a string's closing quote, as it is written.
func quoted(b []byte) ([]byte, error) {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			return b[:i], nil
		case '\\':
			switch unit := escape(b[i:]); {
			case unit >= 0xd800 && unit < 0xdc00 && isLow(escape(b[i+6:])):
				i += 11
			case unit >= 0xd800 && unit < 0xe000:
				return nil, fmt.Errorf("%s is half a character", b[i:i+6])
			default:
				i++ // what is escaped may be a quote
			}
		}
	}
	return b, nil
}

// escape is the code unit of a \u escape at the beginning of b; -1 if there is none.
func escape(b []byte) int {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

func isLow(unit int) bool { return unit >= 0xdc00 && unit < 0xe000 }
