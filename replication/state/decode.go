package state

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
	"github.com/rosterdb/rosterdb/ring"
)

// command is a decoded command; its slices alias the encoding.
type command struct {
	version byte
	kind    byte
	now     int64
	owned   bool // version 2 or later: by is known
	by      Owner
	session op.Session
	seq     uint64
	floor   uint64
	ifRoot  bool
	ifRev   uint64 // the root's revision, if ifRoot
	root    []byte
	muts    []mutation
	owner   []byte
	epoch   uint64
	indexes []ring.Index
	doc     []byte
}

type mutation struct {
	kind    op.MutKind
	cond    op.CondKind
	version uint64
	path    []byte
	ttl     int64
	refs    []byte
	value   []byte
	delta   int64
}

// decode reads a command into c, whose mutations' room is used again.
func (c *command) decode(b []byte) error {
	d := binenc.Reader{B: b}
	*c = command{muts: c.muts[:0]}
	c.version = d.Byte()
	if c.version == 0 || c.version > commandVersion {
		return fmt.Errorf("command format %d is unknown here; run the same version on all nodes", c.version)
	}
	c.owned = c.version > 1
	c.kind = d.Byte()
	c.now = int64(min(d.Uvarint(), 1<<62))
	switch {
	case c.kind == kindWrite:
		c.decodeWrite(&d)
	case c.kind == kindOpen:
		c.owner = d.Bytes()
	case c.kind == kindRing:
		c.epoch, c.doc = d.Uvarint(), d.Bytes()
	case c.kind == kindSettle && c.owned:
		c.decodeOwner(&d)
		c.session, c.seq = op.Session(d.Uvarint()), d.Uvarint()
	case (c.kind == kindTick || c.kind == kindScrub) && c.owned:
	case c.kind == kindIndexes && c.owned:
		c.epoch = d.Uvarint()
		for range d.Count(5) {
			c.indexes = append(c.indexes, readIndex(&d))
		}
	default:
		return fmt.Errorf("command kind %d is unknown here; run the same version on all nodes", c.kind)
	}
	return d.End()
}

func (c *command) decodeOwner(d *binenc.Reader) {
	if len(d.B) < len(c.by) {
		d.B, d.Bad = nil, true
		return
	}
	copy(c.by[:], d.B)
	d.B = d.B[len(c.by):]
}

func (c *command) decodeWrite(d *binenc.Reader) {
	if c.owned {
		c.decodeOwner(d)
	}
	c.session = op.Session(d.Uvarint())
	c.seq = d.Uvarint()
	c.floor = d.Uvarint()
	if c.owned {
		if c.ifRoot = op.CondKind(d.Byte()) == op.VersionIs; c.ifRoot {
			c.ifRev = d.Uvarint()
		}
	}
	c.root = d.Bytes()
	for range d.Count(3) {
		kind := d.Byte()
		m := mutation{kind: op.MutKind(kind &^ withTTL), cond: op.CondKind(d.Byte())}
		if m.cond == op.VersionIs {
			m.version = d.Uvarint()
		}
		m.path = d.Bytes()
		if kind&withTTL != 0 {
			m.ttl = int64(min(d.Uvarint(), op.MaxTTL))
		}
		switch m.kind {
		case op.Put:
			m.refs = skipRefs(d)
			m.value = d.Bytes()
		case op.Add:
			m.delta = varint(d)
		}
		c.muts = append(c.muts, m)
	}
}

// varint reads a signed number.
func varint(d *binenc.Reader) int64 {
	v, n := binary.Varint(d.B)
	if n <= 0 {
		d.B, d.Bad = nil, true
		return 0
	}
	d.B = d.B[n:]
	return v
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
		if m.kind < op.Put || m.kind > op.Check || m.cond > op.VersionIs {
			return fmt.Errorf("mutation %d: unknown kind %d or condition %d", i, m.kind, m.cond)
		}
		if len(m.path) > op.MaxPath || bytes.IndexByte(m.path, 0) >= 0 {
			return fmt.Errorf("mutation %d: path is longer than %d bytes or holds a NUL", i, op.MaxPath)
		}
	}
	return nil
}
