package core

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

const (
	maxMaking         = 2        // snapshots being made at once
	maxHeld           = 32       // snapshots in memory at once,
	maxHeldBytes      = 16 << 20 // of which all but one fit this
	snapshotTicks     = 200      // ticks a follower has to take a snapshot,
	snapshotTickBytes = 64 << 10
	snapshotKeep      = 40 // ticks a finished snapshot waits for a follower to ask
)

type snapPhase uint8

const (
	snapNone snapPhase = iota
	snapMaking
	snapReady
)

// outgoingSnapshot is a group's snapshot for followers that lack more than the
// log has.
type outgoingSnapshot struct {
	phase snapPhase
	snap  *pb.Snapshot
	until uint64      // tick after which it is dropped, if nobody takes it
	peers []snapshots // that are taking it
}

type snapshots struct {
	peer     uint64
	deadline uint64 // tick
}

// snapshot is raft.Storage's Snapshot: it asks the caller for one and is
// temporarily unavailable until that is there. raft asks again at the
// follower's next heartbeat.
func (c *Core) snapshot(g *group) (*pb.Snapshot, error) {
	s := &g.snap
	if s.phase == snapReady {
		if s.snap.GetMetadata().GetIndex() >= max(g.log.offset, g.confAt) {
			return s.snap, nil
		}
		c.dropSnapshot(g) // the log has moved past it, or it does not name a new learner
	}
	if s.phase == snapNone && c.snaps.room() {
		s.phase = snapMaking
		c.snaps.making++
		c.next.Snapshots = append(c.next.Snapshots, g.id)
	}
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

// SnapshotDone reports a snapshot of Round.Snapshots: the state at index, or the
// error that kept it from being made.
func (c *Core) SnapshotDone(id uint32, index, term uint64, conf, data []byte, err error) error {
	g := c.groups[id]
	if g.snap.phase != snapMaking {
		return nil
	}
	c.snaps.making--
	g.snap.phase = snapNone
	var cs *pb.ConfState
	if err == nil {
		cs, err = DecodeConf(conf)
	}
	if err != nil {
		return fmt.Errorf("make snapshot of group %d: %w", id, err)
	}
	if g.state != raft.StateLeader || index < g.log.offset {
		return nil
	}
	g.snap.phase = snapReady
	c.snaps.held++
	c.snaps.bytes += int64(len(data))
	g.snap.snap = newSnapshot(index, term, cs, data)
	g.snap.until = c.now + snapshotKeep
	return nil
}

func (c *Core) snapshotSent(g *group, p *peer, m *pb.Message) {
	size := uint64(len(m.GetSnapshot().GetData()))
	g.snap.peers = append(g.snap.peers, snapshots{
		peer: p.id, deadline: c.now + snapshotTicks + size/snapshotTickBytes,
	})
}

// tickSnapshot follows the snapshot until all who take it have it. raft sends
// such a follower nothing else: if the snapshot was lost, raft must be told.
func (c *Core) tickSnapshot(g *group) {
	s := &g.snap
	keep := s.peers[:0]
	var lost []uint64
	for _, t := range s.peers {
		taking := false
		g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracked) {
			taking = taking || id == t.peer && pr.State == tracker.StateSnapshot
		})
		p := c.peer(t.peer)
		switch {
		case !taking:
			s.until = c.now // others wait for their turn
		case c.now >= t.deadline || p == nil || !p.up:
			lost = append(lost, t.peer)
		default:
			keep = append(keep, t)
		}
	}
	s.peers = keep
	for _, id := range lost {
		g.rn.ReportSnapshot(id, raft.SnapshotFailure)
	}
	if len(s.peers) == 0 && s.phase == snapReady && c.now >= s.until {
		c.dropSnapshot(g)
	}
}

// dropSnapshot forgets a snapshot that is ready; one being made ends by itself.
// Who is taking it is remembered: raft must be told if it gets lost.
func (c *Core) dropSnapshot(g *group) {
	if g.snap.phase != snapReady {
		return
	}
	c.snaps.held--
	c.snaps.bytes -= int64(len(g.snap.snap.GetData()))
	g.snap = outgoingSnapshot{peers: g.snap.peers}
}

// snapshotBudget bounds the memory that snapshots take: their size is known only
// when they are made.
type snapshotBudget struct {
	making, held int
	bytes        int64
}

func (b *snapshotBudget) room() bool {
	return b.making < maxMaking && b.held < maxHeld && (b.held == 0 || b.bytes < maxHeldBytes)
}
