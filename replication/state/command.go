package state

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// commandVersion is the first byte of a command, its kind the second.
const commandVersion = 1

const (
	kindWrite = iota + 1
	kindOpen
	kindRing
)

// maxOwner is the longest bare JID in bytes: two parts of 1023 (RFC 7622) and "@".
const maxOwner = 2047

// EncodeWrite appends the command of a write. now is the leader's clock in
// milliseconds since 1970; it becomes log time. The write should have passed
// [op.Write.Check].
func EncodeWrite(dst []byte, now int64, w *op.Write) []byte {
	dst = appendHead(dst, kindWrite, now)
	dst = binary.AppendUvarint(dst, uint64(w.Session))
	dst = binary.AppendUvarint(dst, w.Seq)
	dst = binary.AppendUvarint(dst, w.Floor)
	dst = binenc.AppendString(dst, w.Root)
	dst = binary.AppendUvarint(dst, uint64(len(w.Mutations)))
	for i := range w.Mutations {
		m := &w.Mutations[i]
		dst = append(dst, byte(m.Kind), byte(m.Cond.Kind))
		if m.Cond.Kind == op.VersionIs {
			dst = binary.AppendUvarint(dst, m.Cond.Version)
		}
		dst = binenc.AppendString(dst, m.Path)
		if m.Kind == op.Put {
			dst = appendRefs(dst, m.Refs)
			dst = binenc.AppendBytes(dst, m.Value)
		}
	}
	return dst
}

// EncodeOpen appends the command that opens a session for a bare JID.
func EncodeOpen(dst []byte, now int64, owner string) []byte {
	return binenc.AppendString(appendHead(dst, kindOpen, now), owner)
}

// EncodeRing appends the command that replaces the ring document if its epoch
// is still expectEpoch; else its result is Conflict. Result.Revision is the
// epoch afterwards.
func EncodeRing(dst []byte, now int64, expectEpoch uint64, doc []byte) []byte {
	dst = appendHead(dst, kindRing, now)
	dst = binary.AppendUvarint(dst, expectEpoch)
	return binenc.AppendBytes(dst, doc)
}

func appendHead(dst []byte, kind byte, now int64) []byte {
	return binary.AppendUvarint(append(dst, commandVersion, kind), uint64(max(now, 0)))
}

// command is a decoded command; its slices alias the encoding.
type command struct {
	kind    byte
	now     int64
	session op.Session
	seq     uint64
	floor   uint64
	root    []byte
	muts    []mutation
	owner   []byte
	epoch   uint64
	doc     []byte
}

type mutation struct {
	kind    op.MutKind
	cond    op.CondKind
	version uint64
	path    []byte
	refs    []byte
	value   []byte
}

// decode reads a command into c, whose mutations' room is used again.
func (c *command) decode(b []byte) error {
	d := binenc.Reader{B: b}
	*c = command{muts: c.muts[:0]}
	if v := d.Byte(); v != commandVersion {
		return fmt.Errorf("command format %d is unknown here; run the same version on all nodes", v)
	}
	c.kind = d.Byte()
	c.now = int64(min(d.Uvarint(), 1<<62))
	switch c.kind {
	case kindWrite:
		c.decodeWrite(&d)
	case kindOpen:
		c.owner = d.Bytes()
	case kindRing:
		c.epoch, c.doc = d.Uvarint(), d.Bytes()
	default:
		return fmt.Errorf("command kind %d is unknown here; run the same version on all nodes", c.kind)
	}
	return d.End()
}

func (c *command) decodeWrite(d *binenc.Reader) {
	c.session = op.Session(d.Uvarint())
	c.seq = d.Uvarint()
	c.floor = d.Uvarint()
	c.root = d.Bytes()
	for range d.Count(3) {
		m := mutation{kind: op.MutKind(d.Byte()), cond: op.CondKind(d.Byte())}
		if m.cond == op.VersionIs {
			m.version = d.Uvarint()
		}
		m.path = d.Bytes()
		if m.kind == op.Put {
			m.refs = skipRefs(d)
			m.value = d.Bytes()
		}
		c.muts = append(c.muts, m)
	}
}

// check refuses what the state could not hold. It is no substitute for
// op.Write.Check, which whoever proposes has called: it keeps a bad proposer
// from harming the replicas.
func (c *command) check() error {
	if len(c.root) == 0 || len(c.root) > op.MaxRoot || bytes.IndexByte(c.root, 0) >= 0 {
		return fmt.Errorf("root name is empty, longer than %d bytes or holds a NUL", op.MaxRoot)
	}
	if len(c.muts) == 0 || len(c.muts) > op.MaxMutations {
		return fmt.Errorf("batch has %d mutations; 1 to %d are possible", len(c.muts), op.MaxMutations)
	}
	for i := range c.muts {
		m := &c.muts[i]
		if m.kind != op.Put && m.kind != op.Delete || m.cond > op.VersionIs {
			return fmt.Errorf("mutation %d: unknown kind %d or condition %d", i, m.kind, m.cond)
		}
		if len(m.path) > op.MaxPath || bytes.IndexByte(m.path, 0) >= 0 {
			return fmt.Errorf("mutation %d: path is longer than %d bytes or holds a NUL", i, op.MaxPath)
		}
	}
	return nil
}
