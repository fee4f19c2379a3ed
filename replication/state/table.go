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
	tableHistory
	tableMachine
	tableIndex
)

// tables lists them in the order in which snapshots and digests have them.
func tables() []table {
	return []table{
		{tableSessions, sessionsBucket, validSession},
		{tableRoots, rootsBucket, validRoot},
		{tableObjects, objectsBucket, validObject},
		{tableExpiry, expiryBucket, validExpiry},
		{tableHistory, historyBucket, validBlock},
		{tableMachine, machineBucket, validMachine},
		{tableIndex, indexBucket, validEntry},
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

// validMachine checks a record of what the machine keeps beside the data.
func validMachine(key, payload []byte) (err error) {
	switch string(key) {
	case string(historyKey):
		_, err = decodeHistory(payload)
	case string(indexesKey):
		_, err = decodeIndexes(payload)
	default:
		err = fmt.Errorf("unknown record %q", key)
	}
	return err
}

func validEntry(key, payload []byte) error {
	if len(key) > indexIDLen && len(payload) == 0 {
		if _, object, ok := cutScalar(key[indexIDLen:]); ok && len(object) > 0 {
			return nil
		}
	}
	return fmt.Errorf("entry of an index with %d and %d bytes makes no sense", len(key), len(payload))
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
	if number == tableMachine {
		return p.machine(), true
	}
	if number == tableHistory {
		list = p.history.unflushed()
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
		case tableHistory:
			for first, data := range gen.history {
				list = append(list, change{key: string(blockKey(first)), payload: data, gone: data == nil})
			}
		case tableIndex:
			for key, there := range gen.index {
				list = append(list, change{key: key, gone: !there})
			}
		case tableExpiry:
			for key, there := range gen.expiry {
				list = append(list, change{key: key, gone: !there})
			}
		case tableObjects:
			gen.each(func(c *changed) {
				o := c.object
				list = append(list, change{key: c.key, object: &o, gone: o.deleted})
			})
		}
	}
	return list, false
}

// machine lists the records of tableMachine.
func (p *Partition) machine() (list []change) {
	if p.history.begun {
		list = append(list, change{key: string(historyKey), payload: p.history.append(nil)})
	}
	if p.indexes.generation > 0 {
		list = append(list, change{key: string(indexesKey), payload: p.indexes.append(nil)})
	}
	return list
}

// unflushed lists the blocks that changed since the last rotation.
func (h *history) unflushed() (list []change) {
	for _, b := range h.blocks {
		if b.dirty {
			list = append(list, change{key: string(blockKey(b.first)), payload: b.data[:len(b.data):len(b.data)]})
		}
	}
	for _, first := range h.dropped {
		list = append(list, change{key: string(blockKey(first)), gone: true})
	}
	return list
}
