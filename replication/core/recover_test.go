package core

import (
	"errors"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

func entries(first uint64, terms ...uint64) []wal.Entry {
	var out []wal.Entry
	for i, term := range terms {
		out = append(out, wal.Entry{Index: first + uint64(i), Term: term})
	}
	return out
}

func TestRecover(t *testing.T) {
	conf := EncodeConf(&pb.ConfState{Voters: []uint64{1, 2, 3}})
	for _, c := range []struct {
		name        string
		index, term uint64
		tomb        Tomb
		log         *wal.Group
		lost        bool
		fix         bool
		offset      uint64
		last        uint64
		hard        wal.HardState
	}{
		{name: "first start", index: 1, term: 1, fix: true, offset: 1, last: 1, hard: wal.HardState{Term: 1, Commit: 1}},
		{name: "nothing yet, waits for a snapshot"},
		{
			name: "nothing but a vote", log: &wal.Group{HardState: wal.HardState{Term: 4, Vote: 2}},
			hard: wal.HardState{Term: 4, Vote: 2},
		},
		{
			name: "state behind the log", index: 3, term: 1, offset: 2, last: 5,
			log:  &wal.Group{HardState: wal.HardState{Term: 2, Vote: 1, Commit: 4}, Snapshot: wal.Snapshot{Index: 1, Term: 1}, Entries: entries(2, 1, 1, 2, 2)},
			hard: wal.HardState{Term: 2, Vote: 1, Commit: 4},
		},
		{
			name: "log begins right behind the state", index: 3, term: 1, offset: 3, last: 5,
			log:  &wal.Group{HardState: wal.HardState{Term: 2, Commit: 3}, Entries: entries(4, 2, 2)},
			hard: wal.HardState{Term: 2, Commit: 3},
		},
		{
			name: "commit position was not written", index: 4, term: 2, offset: 2, last: 5,
			log:  &wal.Group{HardState: wal.HardState{Term: 2, Commit: 2}, Entries: entries(2, 1, 1, 2, 2)},
			hard: wal.HardState{Term: 2, Commit: 4},
		},
		{
			name: "snapshot restored, WAL does not know: log shorter", index: 9, term: 3, fix: true, offset: 9, last: 9,
			log:  &wal.Group{HardState: wal.HardState{Term: 2, Vote: 2, Commit: 3}, Entries: entries(2, 1, 1, 2, 2)},
			hard: wal.HardState{Term: 3, Commit: 9},
		},
		{
			name: "snapshot restored, WAL does not know: log differs", index: 4, term: 3, fix: true, offset: 4, last: 4,
			log:  &wal.Group{HardState: wal.HardState{Term: 4, Vote: 2, Commit: 3}, Entries: entries(2, 1, 1, 2, 2)},
			hard: wal.HardState{Term: 4, Vote: 2, Commit: 4},
		},
		{
			name: "all released", index: 9, term: 3, fix: true, offset: 9, last: 9,
			log:  &wal.Group{HardState: wal.HardState{Term: 3, Vote: 2, Commit: 9}, Snapshot: wal.Snapshot{Index: 1, Term: 1}},
			hard: wal.HardState{Term: 3, Vote: 2, Commit: 9},
		},
		{
			name: "snapshot known to the WAL", index: 9, term: 3, offset: 9, last: 9,
			log:  &wal.Group{HardState: wal.HardState{Term: 3, Commit: 9}, Snapshot: wal.Snapshot{Index: 9, Term: 3}},
			hard: wal.HardState{Term: 3, Commit: 9},
		},
		{
			name: "state lost, log there", lost: true,
			log: &wal.Group{HardState: wal.HardState{Term: 2, Commit: 4}, Entries: entries(2, 1, 1)},
		},
		{name: "state older than the log", index: 2, term: 1, lost: true, log: &wal.Group{Entries: entries(5, 1, 1)}},
		{name: "state older than the log's snapshot", index: 2, term: 1, lost: true, log: &wal.Group{Snapshot: wal.Snapshot{Index: 5, Term: 1}}},
		{
			name: "committed entries gone", index: 2, term: 1, lost: true,
			log: &wal.Group{HardState: wal.HardState{Term: 1, Commit: 9}, Entries: entries(2, 1, 1)},
		},
		{
			name: "deleted, WAL does not know", tomb: Tomb{Index: 5, Term: 3, Vote: 1}, fix: true,
			log:  &wal.Group{HardState: wal.HardState{Term: 2, Vote: 2, Commit: 3}, Entries: entries(2, 1, 1, 2, 2)},
			hard: wal.HardState{Term: 3, Vote: 1},
		},
		{
			name: "deleted while the node ran", tomb: Tomb{Index: 5, Term: 3, Vote: 1}, fix: true,
			hard: wal.HardState{Term: 3, Vote: 1},
		},
		{
			name: "deleted, and has heard of a later term", tomb: Tomb{Index: 5, Term: 3, Vote: 1},
			log:  &wal.Group{HardState: wal.HardState{Term: 6}, Snapshot: wal.Snapshot{Index: 5, Term: 3}},
			hard: wal.HardState{Term: 6},
		},
		{
			name: "deleted and restored again, WAL does not know", index: 9, term: 3, tomb: Tomb{Index: 5, Term: 3}, fix: true, offset: 9, last: 9,
			log:  &wal.Group{HardState: wal.HardState{Term: 3}, Snapshot: wal.Snapshot{Index: 5, Term: 3}},
			hard: wal.HardState{Term: 3, Commit: 9},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var total int64
			l := &entryLog{total: &total}
			hs, fix, err := l.recover(Replica{Index: c.index, Term: c.term, Conf: conf, Tomb: c.tomb, Log: c.log})
			if errors.Is(err, ErrLostState) != c.lost {
				t.Fatalf("error %v, want lost %v", err, c.lost)
			}
			if c.lost {
				return
			}
			if err != nil || fix != c.fix || l.offset != c.offset || l.last() != c.last || hs != c.hard {
				t.Errorf("fix %v, log (%d, %d], %+v, %v; want %v, (%d, %d], %+v", fix, l.offset, l.last(), hs, err, c.fix, c.offset, c.last, c.hard)
			}
		})
	}
}

func TestMemberOf(t *testing.T) {
	doc := &ring.Document{Members: []ring.Member{{ID: 1, JID: "dn1@example.org/store", Store: "a"}, {ID: 2, JID: "dn2@example.org/store", Store: "b"}}}
	if m, err := MemberOf(doc, "b"); err != nil || m.ID != 2 {
		t.Errorf("member b: %+v, %v", m, err)
	}
	if _, err := MemberOf(doc, "wiped"); !errors.Is(err, ErrStranger) {
		t.Errorf("unknown store: %v", err)
	}
}
