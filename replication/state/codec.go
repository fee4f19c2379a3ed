package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendKey appends the key of an object: root, NUL, path. Neither holds
// control characters, so keys sort by root, then by path.
func appendKey(dst []byte, root, path string) []byte {
	dst = append(dst, root...)
	dst = append(dst, 0)
	return append(dst, path...)
}

// rootOf is the root's name in an object's key.
func rootOf(key []byte) []byte {
	n := bytes.IndexByte(key, 0)
	return key[:max(n, 0)]
}

// sum is the checksum of a record: over its key, so that a record in another's
// place is noticed, and its payload.
func sum(key, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, payload)
}

// seal puts the checksum of rec[4:] into its first four bytes.
func seal(key, rec []byte) []byte {
	binary.LittleEndian.PutUint32(rec, sum(key, rec[4:]))
	return rec
}

// unseal checks a record and returns its payload.
func unseal(key, rec []byte) ([]byte, error) {
	if len(rec) < 4 || binary.LittleEndian.Uint32(rec) != sum(key, rec[4:]) {
		return nil, fmt.Errorf("%w: record %q does not match its checksum", ErrCorrupt, key)
	}
	return rec[4:], nil
}

// object is an object as the machine keeps it.
type object struct {
	version uint64
	expires int64  // log time at which it is gone; 0: never
	refs    []byte // encoded: see appendRefs
	value   []byte
	deleted bool // only in an overlay
}

// live tells whether there is an object at this log time.
func (o *object) live(now int64) bool {
	return o.version != 0 && !o.deleted && (o.expires == 0 || o.expires > now)
}

// appendObject appends an object's payload. Encoded references have at least one
// byte: none says that a time of expiry comes before them.
func appendObject(dst []byte, o *object) []byte {
	dst = binary.AppendUvarint(dst, o.version)
	if o.expires != 0 {
		dst = binary.AppendUvarint(append(dst, 0), uint64(o.expires))
	}
	dst = binenc.AppendBytes(dst, o.refs)
	return append(dst, o.value...)
}

func decodeObject(payload []byte) (object, error) {
	d := binenc.Reader{B: payload}
	o := object{version: d.Uvarint(), refs: d.Bytes()}
	if o.refs == nil && !d.Bad {
		o.expires, o.refs = int64(d.Uvarint()), d.Bytes()
	}
	o.value = d.B
	if d.Bad {
		return object{}, fmt.Errorf("%w: object: %w", ErrCorrupt, binenc.ErrMalformed)
	}
	return o, nil
}

// appendRefs appends the references as a count, then root and path of each.
func appendRefs(dst []byte, refs []op.Ref) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(refs)))
	for i := range refs {
		dst = binenc.AppendString(binenc.AppendString(dst, refs[i].Root), refs[i].Path)
	}
	return dst
}

func decodeRefs(p []byte) []op.Ref {
	d := binenc.Reader{B: p}
	n := d.Count(2)
	if n == 0 {
		return nil
	}
	refs := make([]op.Ref, n)
	for i := range refs {
		refs[i] = op.Ref{Root: string(d.Bytes()), Path: string(d.Bytes())}
	}
	return refs
}

// skipRefs returns the encoded references at the beginning of the input.
func skipRefs(d *binenc.Reader) []byte {
	from := d.B
	for range d.Count(2) {
		d.Bytes()
		d.Bytes()
	}
	return from[:len(from)-len(d.B)]
}
