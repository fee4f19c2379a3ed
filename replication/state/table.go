package state

import (
	"encoding/binary"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// A table is a bucket inside a partition's bucket; each record is sealed under
// its key. All of a partition's state lies in tables, except its position and
// the ring document. Snapshots, digests and scrubs go through the tables without
// knowing what is in them. A new one needs
//
//   - a number and a line in tables;
//   - in Partition.unflushedOf, what the overlays have of it that bbolt has not;
//   - whatever Partition.load reads of it into memory.
type table struct {
	number byte // in snapshots: never changes, never used again
	bucket []byte
	// valid checks a record of a snapshot before it is stored.
	valid func(key, payload []byte) error
}

// Numbers of the tables.
const (
	tableSessions = iota + 1
	tableRoots
	tableObjects
	tableExpiry
)

// tables lists them in the order in which snapshots and digests have them.
func tables() []table {
	return []table{
		{tableSessions, sessionsBucket, validSession},
		{tableRoots, rootsBucket, validRoot},
		{tableObjects, objectsBucket, validObject},
		{tableExpiry, expiryBucket, validExpiry},
	}
}

func validSession(key, payload []byte) error {
	if len(key) != 8 {
		return fmt.Errorf("session key of %d bytes", len(key))
	}
	_, err := decodeSession(op.Session(binary.BigEndian.Uint64(key)), payload)
	return err
}

func validRoot(key, payload []byte) error {
	d := binenc.Reader{B: payload}
	d.Uvarint()
	if len(key) == 0 || len(key) > op.MaxRoot {
		return fmt.Errorf("root of %d bytes", len(key))
	}
	return d.End()
}

func validObject(key, payload []byte) error {
	if len(key) == 0 || len(key) > op.MaxRoot+1+op.MaxPath {
		return fmt.Errorf("object key of %d bytes", len(key))
	}
	_, err := decodeObject(payload)
	return err
}

func validExpiry(key, payload []byte) error {
	if len(key) <= timeLen || len(payload) > 0 {
		return fmt.Errorf("entry of an expiry with %d and %d bytes", len(key), len(payload))
	}
	return nil
}

// change is a record of a table that bbolt does not have yet.
type change struct {
	key     string
	payload []byte
	object  *object // instead of payload: encoded when it is needed
	gone    bool
}

func (c *change) appendPayload(dst []byte) []byte {
	if c.object != nil {
		return appendObject(dst, c.object)
	}
	return append(dst, c.payload...)
}

// unflushedOf lists what bbolt does not have of a table, newest first where a key
// comes twice, unsorted; whole says that nothing of bbolt counts. The lock is held.
func (p *Partition) unflushedOf(number byte) (list []change, whole bool) {
	if number == tableSessions {
		for _, s := range p.sessions.byID {
			list = append(list, change{key: string(sessionKey(s.id)), payload: s.append(nil)})
		}
		return list, true
	}
	for _, gen := range []*overlay{p.active, p.flushing} {
		if gen == nil {
			continue
		}
		switch number {
		case tableRoots:
			for root, r := range gen.roots {
				list = append(list, change{key: root, payload: binary.AppendUvarint(nil, r.revision)})
			}
		case tableExpiry:
			for key, there := range gen.expiry {
				list = append(list, change{key: key, gone: !there})
			}
		case tableObjects:
			for key, o := range gen.objects {
				list = append(list, change{key: key, object: &o, gone: o.deleted})
			}
		}
	}
	return list, false
}
