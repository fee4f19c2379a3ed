package replication

import (
	"fmt"
	"slices"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

// GroupsOf lists the groups a member should have a replica of, by the table or
// by the running change, ascending (the meta group last).
func GroupsOf(doc *ring.Document, member uint64) []uint32 {
	var ids []uint32
	for p := range uint32(len(doc.Table)) {
		if wants(doc, p, member) {
			ids = append(ids, p)
		}
	}
	if wants(doc, ring.MetaPartition, member) {
		ids = append(ids, ring.MetaPartition)
	}
	return ids
}

func wants(doc *ring.Document, group uint32, member uint64) bool {
	return slices.Contains(doc.Group(group), member) || slices.Contains(doc.Goal(group), member)
}

// groupsHere adds the groups that the store has something of: only the leader
// of a group can tell that its replica is not needed any more.
func groupsHere(st *state.Store, doc *ring.Document, member uint64) ([]uint32, error) {
	ids := GroupsOf(doc, member)
	stored, err := st.Partitions()
	if err != nil {
		return nil, err
	}
	for _, id := range stored {
		part, err := st.Partition(id)
		if err != nil {
			return nil, err
		}
		if index, _ := part.Applied(); index > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// TakeUp says what the member's groups that held does not have yet start from,
// given the state store and what the WAL recovered: those that the document
// gives it, and those that it has anyway.
//
// Groups without any trace get their first membership, durably in the state,
// only from the first document (epoch 1), where all replicas get the same, and
// only once: bootstrapped tells that it has been done. Later replicas start
// empty and wait for the leader's snapshot; they would else vote in a group
// whose membership they do not know.
func TakeUp(st *state.Store, rec *wal.Recovered, doc *ring.Document, member uint64, bootstrapped bool, held func(uint32) bool) ([]core.Replica, error) {
	var out []core.Replica
	fresh := false
	ids, err := groupsHere(st, doc, member)
	if err != nil {
		return nil, fmt.Errorf("take up groups: %w", err)
	}
	for _, id := range ids {
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
				return nil, fmt.Errorf("%w: group %d of member %d; %s", ErrLostState, id, member, core.WhatToDo)
			}
			part.SetConf(core.FirstIndex, core.FirstTerm, core.FirstConf(doc.Group(id)))
			fresh = true
		}
		index, term := part.Applied()
		out = append(out, core.Replica{
			Group: id, Table: doc.Goal(id), Index: index, Term: term, Conf: part.Conf(), Tomb: core.Tomb(part.Tomb()), Log: log,
		})
	}
	if fresh {
		if err := st.Flush(); err != nil {
			return nil, fmt.Errorf("write first membership: %w", err)
		}
	}
	return out, nil
}
