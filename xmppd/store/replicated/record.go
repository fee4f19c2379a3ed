package replicated

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// A record's object begins with a byte of flags: keyed, then its key follows; parted,
// then the size of the value and the number of further parts follow. The rest is
// the value, or its first part.
const (
	keyed  = 1
	parted = 2

	// maxPart is how much of a value is in one object, in bytes: what modules store
	// (stanzas of 256 KiB and what they add) is in one piece.
	maxPart = 320 << 10
)

// record is one as it is stored.
type record struct {
	key   []byte // as the caller knows it
	value []byte // or its first part
	size  int    // of the whole value
	parts int    // further ones
}

// putRecord appends the mutations that write a record.
func putRecord(muts []op.Mutation, path string, key, value []byte) []op.Mutation {
	parts := max(0, len(value)-1) / maxPart
	first := value[:min(len(value), maxPart)]
	b := make([]byte, 1, 1+len(first))
	if isShortened(path) {
		b[0] |= keyed
		b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	}
	if parts > 0 {
		b[0] |= parted
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(len(value))), uint64(parts))
	}
	muts = append(muts, op.Mutation{Kind: op.Put, Path: path, Value: append(b, first...)})
	for i := range parts {
		from := (i + 1) * maxPart
		muts = append(muts, op.Mutation{Kind: op.Put, Path: partPath(path, i+1), Value: value[from:min(len(value), from+maxPart)]})
	}
	return muts
}

// parseRecord reads a record's object.
func parseRecord(collection, path string, b []byte) (r record, err error) {
	bad := fmt.Errorf("%w: the record at %.80q makes no sense", store.ErrCorrupt, path)
	if len(b) == 0 || b[0]&^(keyed|parted) != 0 {
		return r, bad
	}
	flags, b := b[0], b[1:]
	number := func() (n int) {
		v, size := binary.Uvarint(b)
		if size <= 0 || v > store.MaxValue {
			b, flags = nil, 0xff
			return 0
		}
		b = b[size:]
		return int(v)
	}
	switch n := 0; {
	case flags&keyed == 0:
		text, own := strings.CutPrefix(path, collection+"/")
		if r.key, err = parseText(text); err != nil || !own {
			return r, bad
		}
	default:
		if n = number(); n > len(b) {
			return r, bad
		}
		r.key, b = b[:n:n], b[n:]
	}
	if r.size = len(b); flags&parted != 0 {
		r.size, r.parts = number(), number()
	}
	if r.value = b; flags == 0xff || r.parts > 99 || r.parts == 0 && r.size != len(b) {
		return r, bad
	}
	return r, nil
}

// rootState is the object at pathState: what has to be known of a root before its
// records are read. It is missing where there is nothing to be known.
type rootState struct {
	large  bool // there are, or were, records of several parts
	staged int  // batches of an update that is decided and not carried out yet
	// decision is the revision at which it was decided, which is the version of this object.
	decision uint64
}

func (s rootState) append(dst []byte) []byte {
	var flags byte
	if s.large {
		flags = 1
	}
	return binary.AppendUvarint(binary.AppendUvarint(append(dst, flags), uint64(s.staged)), s.decision)
}

func parseRootState(b []byte) (s rootState, err error) {
	d := decoder{b: b}
	flags, staged := d.byte(), d.number()
	s = rootState{large: flags == 1, staged: int(min(staged, maxStages+1)), decision: d.number()}
	if d.end() != nil || flags > 1 || s.staged > maxStages {
		return s, fmt.Errorf("%w: the state of an owner makes no sense", store.ErrCorrupt)
	}
	return s, nil
}
