package adminxml

import (
	"errors"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// AppendRing appends the ring element: with the epoch the asker has and no
// document in a get, with the node's epoch and its encoded document in a
// result. A result without a document says that the asker's is as new.
func AppendRing(dst []byte, epoch uint64, doc []byte) []byte {
	dst = append(dst, `<ring xmlns='`+wire.NS+`' epoch='`...)
	dst = strconv.AppendUint(dst, epoch, 10)
	if len(doc) == 0 {
		return append(dst, `'/>`...)
	}
	dst = append(dst, `'>`...)
	dst = stanza.AppendEscaped(dst, string(doc))
	return append(dst, `</ring>`...)
}

var errNotRing = errors.New("no ring element")

// ParseRing reads what AppendRing wrote.
func ParseRing(el []byte) (epoch uint64, doc []byte, err error) {
	p := stanza.Parse(el)
	if p.Next() != stanza.Start || string(p.Name()) != "ring" || string(p.NS()) != wire.NS {
		return 0, nil, errNotRing
	}
	if a, ok := p.Attr("epoch"); ok {
		if epoch, err = strconv.ParseUint(string(a), 10, 64); err != nil {
			return 0, nil, err
		}
	}
	text, err := content(&p)
	return epoch, []byte(text), err
}
