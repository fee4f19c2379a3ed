package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/rosterdb/rosterdb/internal/op"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errMalformed = errors.New("malformed encoding")
)

// decoder reads what the append functions wrote; after the first mistake it is
// bad and yields zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// bytes reads a length and that many bytes, which alias the input.
func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

// count reads a number of items that take at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

// end tells whether everything was read without a mistake.
func (d *decoder) end() error {
	if d.bad || len(d.b) != 0 {
		return errMalformed
	}
	return nil
}

func appendBytes(dst, p []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(p))), p...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendKey appends the key of an object: root, NUL, path. Neither holds
// control characters, so keys sort by root, then by path.
func appendKey(dst []byte, root, path string) []byte {
	dst = append(dst, root...)
	dst = append(dst, 0)
	return append(dst, path...)
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
		return nil, fmt.Errorf("%w: record %q does not match its checksum: replace this node, its replicas have the data", ErrCorrupt, key)
	}
	return rec[4:], nil
}

// object is an object as the machine keeps it.
type object struct {
	version uint64
	refs    []byte // encoded: see appendRefs
	value   []byte
	deleted bool // only in an overlay
}

// appendObject appends an object's payload.
func appendObject(dst []byte, o *object) []byte {
	dst = binary.AppendUvarint(dst, o.version)
	dst = appendBytes(dst, o.refs)
	return append(dst, o.value...)
}

func decodeObject(payload []byte) (object, error) {
	d := decoder{b: payload}
	o := object{version: d.uvarint(), refs: d.bytes()}
	o.value = d.b
	if d.bad {
		return object{}, fmt.Errorf("%w: object: %w", ErrCorrupt, errMalformed)
	}
	return o, nil
}

// appendRefs appends the references as a count, then root and path of each.
func appendRefs(dst []byte, refs []op.Ref) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(refs)))
	for i := range refs {
		dst = appendString(appendString(dst, refs[i].Root), refs[i].Path)
	}
	return dst
}

func decodeRefs(p []byte) []op.Ref {
	d := decoder{b: p}
	n := d.count(2)
	if n == 0 {
		return nil
	}
	refs := make([]op.Ref, n)
	for i := range refs {
		refs[i] = op.Ref{Root: string(d.bytes()), Path: string(d.bytes())}
	}
	return refs
}

// skipRefs returns the encoded references at the beginning of the input.
func (d *decoder) skipRefs() []byte {
	from := d.b
	for range d.count(2) {
		d.bytes()
		d.bytes()
	}
	return from[:len(from)-len(d.b)]
}
