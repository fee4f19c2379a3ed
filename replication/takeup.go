package replication

import (
	"fmt"
	"slices"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

// GroupsOf lists the groups a member has a replica of, ascending (the meta group
// last), with their replicas.
func GroupsOf(doc *ring.Document, member uint64) (ids []uint32, tables [][]uint64) {
	for p, row := range doc.Table {
		if slices.Contains(row, member) {
			ids = append(ids, uint32(p))
			tables = append(tables, row)
		}
	}
	if slices.Contains(doc.Meta, member) {
		ids = append(ids, ring.MetaPartition)
		tables = append(tables, doc.Meta)
	}
	return ids, tables
}

// TakeUp says what the member's groups that held does not have yet start from,
// given the state store and what the WAL recovered.
//
// Groups without any trace get their first membership, durably in the state,
// only from the first document (epoch 1), where all replicas get the same, and
// only once: bootstrapped tells that it has been done. Later replicas start
// empty and wait for the leader's snapshot; they would else vote in a group
// whose membership they do not know.
func TakeUp(st *state.Store, rec *wal.Recovered, doc *ring.Document, member uint64, bootstrapped bool, held func(uint32) bool) ([]core.Replica, error) {
	var out []core.Replica
	fresh := false
	ids, tables := GroupsOf(doc, member)
	for i, id := range ids {
		if held(id) {
			continue
		}
		part, err := st.Partition(id)
		if err != nil {
			return nil, fmt.Errorf("take up group %d: %w", id, err)
		}
		index, _ := part.Applied()
		log := rec.Groups[id]
		if index == 0 && doc.Epoch == 1 {
			if bootstrapped || log != nil {
				return nil, fmt.Errorf("%w: group %d of member %d; restore the data directory, or empty it and add this node as a new member", ErrLostState, id, member)
			}
			part.SetConf(core.FirstIndex, core.FirstTerm, core.FirstConf(tables[i]))
			fresh = true
		}
		index, term := part.Applied()
		out = append(out, core.Replica{Group: id, Table: tables[i], Index: index, Term: term, Conf: part.Conf(), Log: log})
	}
	if fresh {
		if err := st.Flush(); err != nil {
			return nil, fmt.Errorf("write first membership: %w", err)
		}
	}
	return out, nil
}
