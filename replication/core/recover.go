package core

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

// Errors of taking up a replica.
var (
	// ErrStranger: the ring document has no member with this store's UUID.
	ErrStranger = errors.New("store is not a member of the ring")
	// ErrLostState: what is on disk of a replica cannot be all that was promised.
	ErrLostState = errors.New("state of a replica is missing")
)

// WhatToDo with a data directory of which something is lost or damaged. An older copy
// of it would have forgotten promises.
const WhatToDo = "give the node an empty data directory and run `ringctl replace`; put no older copy back (docs/operations.md, Damage)"

// MemberOf finds the member that a store is. The UUID decides, never the name: a
// wiped disk has forgotten its votes and must not pass for the old member.
func MemberOf(doc *ring.Document, store string) (ring.Member, error) {
	for _, m := range doc.Members {
		if m.Store == store {
			return m, nil
		}
	}
	return ring.Member{}, fmt.Errorf("%w: no member of epoch %d has store %s; add this node as a new member", ErrStranger, doc.Epoch, store)
}

// FirstConf is the configuration that every replica of a new cluster's group
// starts from, at index 1 and term 1.
func FirstConf(replicas []uint64) []byte {
	voters := slices.Clone(replicas)
	slices.Sort(voters)
	return EncodeConf(&pb.ConfState{Voters: voters})
}

// The position of a group's first configuration.
const (
	FirstIndex = 1
	FirstTerm  = 1
)

// Replica is what a group starts from: the durable position of its state, and
// what the WAL has of it.
type Replica struct {
	Group       uint32
	Table       []uint64 // as the ring document has it
	Index, Term uint64   // 0: no state yet, a leader's snapshot will bring it
	Conf        []byte
	Tomb        Tomb       // of an earlier replica of the same member, if there is no state
	Log         *wal.Group // nil: none
}

// Add takes up a replica. If the WAL has to be brought in line with the state
// first (after a crash, or on first start), the group starts when the next batch
// is durable.
func (c *Core) Add(r Replica) error {
	if c.groups[r.Group] != nil {
		return nil
	}
	cs := &pb.ConfState{}
	if r.Index > 0 {
		var err error
		if cs, err = DecodeConf(r.Conf); err != nil {
			return fmt.Errorf("group %d: %w", r.Group, err)
		}
	}
	g := &group{id: r.Group, table: slices.Clone(r.Table), applied: r.Index, asleep: true, conf: pb.EnsureConfState(cs)}
	if r.Index == 0 {
		g.tomb = r.Tomb
	}
	g.log = &entryLog{total: &c.logBytes, conf: g.conf}
	g.log.snap = func() (*pb.Snapshot, error) { return c.snapshot(g) }
	hs, fix, err := g.log.recover(r)
	if err != nil {
		return err
	}
	c.meet(r.Table)
	for _, ids := range members(g.conf) {
		c.meet(ids)
	}
	c.insert(g)
	c.aim(g)
	g.batch.term, g.batch.vote = hs.Term, hs.Vote
	g.log.hard = &pb.HardState{Term: &hs.Term, Vote: &hs.Vote, Commit: &hs.Commit}
	if !fix {
		c.start(g)
		return nil
	}
	q := &c.wal
	q.batch.Snapshots = append(q.batch.Snapshots, wal.Snapshot{
		Group: g.id, Index: max(g.log.offset, g.tomb.Index), Term: max(g.log.offsetTerm, g.tomb.Term),
	})
	c.gatherState(g, hs)
	q.after = append(q.after, afterAppend{g: g, start: true})
	q.urgent = true
	return nil
}

// recover fills the log from what is on disk. fix tells that the WAL has to be
// told to restart the group's log behind the state. State and WAL may differ in
// these ways only:
//   - the state is behind the WAL: replay;
//   - the state is ahead or elsewhere, because a snapshot was restored and the
//     node stopped before the WAL learned of it, or because the last record of
//     the WAL was damaged: the state holds committed entries, so it wins.
func (l *entryLog) recover(r Replica) (hs wal.HardState, fix bool, err error) {
	rec := r.Log
	if rec == nil {
		rec = &wal.Group{}
	}
	hs = rec.HardState
	hs.Group = r.Group
	if r.Index == 0 && r.Tomb.Index > 0 {
		return r.Tomb.Resume(hs), len(rec.Entries) > 0 || rec.Snapshot.Index != r.Tomb.Index || hs.Term < r.Tomb.Term, nil
	}
	ents := rec.Entries
	first := r.Index + 1
	if len(ents) > 0 {
		first = ents[0].Index
	}
	if rec.Snapshot.Index > r.Index || first > r.Index+1 {
		return hs, false, fmt.Errorf("%w: the state of group %d ends at index %d, its log begins behind that at %d; %s",
			ErrLostState, r.Group, r.Index, max(rec.Snapshot.Index, first-1)+1, WhatToDo)
	}
	l.offset, l.offsetTerm = r.Index, r.Term
	switch last := first + uint64(len(ents)) - 1; {
	case len(ents) == 0:
		fix = rec.Snapshot.Index != r.Index || rec.Snapshot.Term != r.Term
	case r.Index == first-1:
		l.load(ents)
	case r.Index <= last && ents[r.Index-first].Term == r.Term:
		l.offset, l.offsetTerm = first, ents[0].Term
		l.load(ents[1:])
	default:
		fix = true
	}
	term := max(r.Term, l.lastTerm())
	if hs.Term < term {
		// The vote was cast in an older term: it binds no longer.
		hs.Term, hs.Vote = term, 0
		fix = fix || r.Index > 0
	}
	hs.Commit = max(hs.Commit, r.Index)
	if hs.Commit > l.last() {
		return hs, false, fmt.Errorf("%w: group %d had committed up to index %d, its log ends at %d; %s",
			ErrLostState, r.Group, hs.Commit, l.last(), WhatToDo)
	}
	return hs, fix, nil
}

func (l *entryLog) load(recs []wal.Entry) {
	block := make([]wireEntry, len(recs))
	ents := make([]*pb.Entry, len(recs))
	for i := range block {
		w, e := &block[i], &recs[i]
		w.typ, w.term, w.index = pb.EntryType(e.Type), e.Term, e.Index
		w.Type, w.Term, w.Index, w.Data = &w.typ, &w.term, &w.index, e.Data
		ents[i] = &w.Entry
	}
	l.append(ents)
}

func (l *entryLog) lastTerm() uint64 {
	if n := len(l.ents); n > 0 {
		return l.ents[n-1].GetTerm()
	}
	return l.offsetTerm
}

// start lets raft begin. The replica that the ring prefers campaigns at once:
// with PreVote that disturbs no leader that lives.
func (c *Core) start(g *group) {
	rn, err := raft.NewRawNode(&raft.Config{
		ID:                        c.cfg.Member,
		ElectionTick:              c.cfg.ElectionTick,
		HeartbeatTick:             c.cfg.HeartbeatTick,
		Storage:                   g.log,
		Applied:                   g.applied,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             uint64(c.maxMessage()),
		MaxCommittedSizePerReady:  4 << 20,
		MaxUncommittedEntriesSize: 64 << 20,
		MaxInflightMsgs:           256,
		MaxInflightBytes:          max(groupWaiting, uint64(c.maxMessage())),
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            raft.ReadOnlySafe,
		Logger:                    c.logger,
		DisableProposalForwarding: true,
		StepDownOnRemoval:         !c.cfg.Faults.LeadAfterRemoval,
	})
	if err != nil {
		// NewRawNode returns no error in this version; its panics are bugs here.
		panic(fmt.Sprintf("start group %d: %v", g.id, err))
	}
	g.rn = rn
	g.term, g.commit = g.log.hard.GetTerm(), g.log.hard.GetCommit()
	c.wake(g)
	if len(g.table) > 0 && g.table[0] == c.cfg.Member && g.applied > 0 {
		g.eager = startCampaigns
		c.campaign(g)
	}
	c.mark(g)
}
