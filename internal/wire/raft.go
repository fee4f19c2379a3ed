package wire

import (
	"github.com/rosterdb/rosterdb/internal/b64"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// AppendRaft appends a batch of Raft messages of the member from, whose data
// directory is store.
func AppendRaft(dst []byte, from uint64, store string, batch []byte) []byte {
	dst = append(dst, "<raft xmlns='"+NSRaft+"'"...)
	dst = appendUint(dst, "from", from)
	dst = append(stanza.AppendAttr(dst, "store", store), '>')
	dst = b64.Append(dst, batch)
	return append(dst, "</raft>"...)
}

// ParseRaft is the reverse of AppendRaft. batch is a copy, in the memory of dst as far as
// there is room.
func ParseRaft(dst, el []byte) (from uint64, store string, batch []byte, err error) {
	p := stanza.Parse(el)
	if err := begin(&p, NSRaft, "raft"); err != nil {
		return 0, "", nil, err
	}
	var f fields
	from, store = f.num(&p, "from", true), textAttr(&p, "store")
	if f.bad != "" {
		return 0, "", nil, badPayload("%s", f.bad)
	}
	text, err := textOnly(&p)
	if err != nil {
		return 0, "", nil, err
	}
	if batch, err = b64.AppendDecode(dst[:0], text); err != nil {
		return 0, "", nil, badPayload("raft batch is not base64: %v", err)
	}
	return from, store, batch, nil
}
