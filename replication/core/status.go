package core

import "go.etcd.io/raft/v3"

// Totals are figures over all groups.
type Totals struct {
	Held, Led, Leaderless, Awake int
	Lag                          uint64 // entries committed and not yet applied
	Pending                      int64  // bytes of proposals not yet answered
	LogBytes                     int64  // bytes of log in memory
	Sending, Receiving           int    // snapshots under way to others, and from them
}

// Totals counts.
func (c *Core) Totals() Totals {
	t := Totals{Held: len(c.list), Awake: len(c.awake), Pending: c.pending, LogBytes: c.logBytes, Receiving: len(c.pulling)}
	for _, g := range c.list {
		if g.state == raft.StateLeader {
			t.Led++
		}
		if g.lead == 0 {
			t.Leaderless++
		}
		if g.commit > g.applied {
			t.Lag += g.commit - g.applied
		}
		t.Sending += len(g.snap.takers)
	}
	return t
}

// GroupStatus is one group as its replica here sees it.
type GroupStatus struct {
	Group     uint32
	Leader    uint64 // member id; 0: unknown
	Term      uint64
	Commit    uint64
	Applied   uint64
	Last      uint64 // last index of the log
	Asleep    bool
	Replicas  []uint64 // that it should have now (ring.Document.Goal); the first is preferred
	Voters    []uint64 // as the group's configuration has them, by id; of a joint one both sets
	Learners  []uint64
	Joint     bool              // a joint configuration is in force
	Waits     string            // on the leader of a group that moves: what the next step waits for
	Stray     bool              // the ring document does not name this replica: it asks whether it may go
	Match     map[uint64]uint64 // on the leader: last index known on each replica; on one not heard since the election, at most
	Snapshots int               // snapshots under way to followers
	Copied    int64             // on the leader of a group that moves: bytes of the snapshot sent to its learner
}

// Groups describes the groups, by number.
func (c *Core) Groups() []GroupStatus {
	out := make([]GroupStatus, 0, len(c.list))
	for _, g := range c.list {
		s := GroupStatus{
			Group: g.id, Leader: g.lead, Term: g.term, Commit: g.commit, Applied: g.applied,
			Last: g.log.last(), Asleep: g.asleep, Replicas: g.table, Snapshots: len(g.snap.takers),
			Joint: len(g.conf.GetVotersOutgoing()) > 0, Waits: g.moving.why, Copied: g.moving.outrun.bytes, Stray: g.stray,
		}
		if g.rn != nil {
			leads := g.state == raft.StateLeader
			if leads {
				s.Match = make(map[uint64]uint64)
			}
			g.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracked) {
				if typ == raft.ProgressTypeLearner {
					s.Learners = append(s.Learners, id)
				} else {
					s.Voters = append(s.Voters, id)
				}
				if leads {
					s.Match[id] = pr.Match
				}
				if leads && pr.Match == 0 && typ != raft.ProgressTypeLearner {
					// Not heard since the election, at which Next was put behind the log's
					// end: what has come since is all that it lacks for sure.
					s.Match[id] = pr.Next - 1
				}
			})
		}
		out = append(out, s)
	}
	return out
}
