package core

import (
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// batchOf is a batch with one message, as a peer would send it to a member.
func batchOf(to uint64, m *pb.Message) []byte {
	return sealBatch(appendMessageRecord(appendBatchHead(nil, 0, 1, to), recMessage, 0, m))
}

// TestEmptyReplicaIsDeaf: what was sent to an earlier replica of the same member
// comes late, to an empty one.
func TestEmptyReplicaIsDeaf(t *testing.T) {
	c := New(Config{Member: 3})
	if err := c.Add(Replica{Table: []uint64{1, 2, 3}, Tomb: Tomb{Index: 9, Term: 4, Vote: 1}}); err != nil {
		t.Fatal(err)
	}
	c.Advance()
	c.WALDone()
	late := []*pb.Message{
		{Type: pb.MsgHeartbeat.Enum(), Term: new(uint64(4)), Commit: new(uint64(7))},
		{Type: pb.MsgVote.Enum(), Term: new(uint64(5)), LogTerm: new(uint64(4)), Index: new(uint64(8))},
		{Type: pb.MsgPreVote.Enum(), Term: new(uint64(6)), LogTerm: new(uint64(4)), Index: new(uint64(8))},
		{Type: pb.MsgSnap.Enum(), Term: new(uint64(4)), Snapshot: newSnapshot(9, 4, &pb.ConfState{Voters: []uint64{1, 2, 3}}, nil)},
	}
	for _, m := range late {
		if err := c.Receive(1, batchOf(3, m)); err != nil {
			t.Fatal(err)
		}
	}
	r := c.Advance()
	for _, task := range r.Tasks {
		t.Errorf("a snapshot from before the removal is restored: %v", task.Restore.GetMetadata())
	}
	for _, s := range r.Sends {
		b, err := openBatch(s.Batch, 3)
		for err == nil {
			rec, ok, err := b.next()
			if !ok || err != nil {
				break
			}
			if rec.msg != nil && (rec.msg.GetType() == pb.MsgVoteResp || rec.msg.GetType() == pb.MsgPreVoteResp) {
				t.Errorf("it votes: %v", rec.msg)
			}
		}
	}
	if g := c.groups[0]; g.rn.BasicStatus().GetTerm() != 4 {
		t.Errorf("term %d; it must neither fall behind what was promised nor follow a vote that it does not give", g.rn.BasicStatus().GetTerm())
	}
}

// TestGoneReplicaSleeps: that its state is damaged, or its leader gone, does not wake
// a replica that is being deleted: it would campaign with a log that is no more.
func TestGoneReplicaSleeps(t *testing.T) {
	w := scrubWorld(t, Faults{})
	c := w.nodes[1].core
	g := c.groups[0]
	g.gone, g.asleep, c.awake = true, true, nil // as bury leaves it
	if err := c.Damaged(0, nil, w.nodes[1].state[0].index); err != nil {
		t.Fatal(err)
	}
	c.PeerDown(1)
	term := g.rn.BasicStatus().GetTerm()
	c.campaign(g)
	if len(c.awake) > 0 || g.rn.BasicStatus().RaftState != raft.StateFollower || g.rn.BasicStatus().GetTerm() != term {
		t.Errorf("awake: %d groups; %+v", len(c.awake), g.rn.BasicStatus())
	}
}

// TestNoHeartbeatAfterTheTerm: the answer to a follower's read may leave when the
// term has ended already; no heartbeat may leave with it.
func TestNoHeartbeatAfterTheTerm(t *testing.T) {
	w := &world{t: t}
	w.cluster(3, 0, 1, Config{SleepTicks: -1})
	w.ticks(10)
	c := w.nodes[0].core
	g, p := c.groups[0], c.peer(2)
	if g.lead != 1 {
		t.Fatalf("node %d leads", g.lead)
	}
	answer := func() int {
		c.Advance()
		before := len(p.buf)
		c.send(g, &pb.Message{Type: pb.MsgReadIndexResp.Enum(), To: new(uint64(2)), Term: new(g.term), Entries: []*pb.Entry{{Data: []byte("x")}}})
		return len(p.buf) - before
	}
	leading := answer()
	g.term++ // as drain has it when a later term is heard of in the same step
	c.Advance()
	before := len(p.buf)
	c.send(g, &pb.Message{Type: pb.MsgReadIndexResp.Enum(), To: new(uint64(2)), Term: new(g.term - 1), Entries: []*pb.Entry{{Data: []byte("x")}}})
	if after := len(p.buf) - before; after >= leading {
		t.Errorf("%d bytes, as many as while it led (%d): a heartbeat goes along", after, leading)
	}
}
