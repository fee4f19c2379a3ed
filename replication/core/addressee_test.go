package core

import (
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// TestOnlyWhatIsForTheMember: a leader that has not heard yet that member 2's disk is gone, and member 9
// in its place, tells member 2 what is committed, as far as member 2 is known to have it. Member 9, which has
// nothing, must not take that for its own. With the planted mistake it does, and the engine ends.
func TestOnlyWhatIsForTheMember(t *testing.T) {
	for _, planted := range []bool{false, true} {
		c := New(Config{Member: 9, Faults: Faults{AnyAddressee: planted}})
		if err := c.Add(Replica{Table: []uint64{1, 2, 3}}); err != nil {
			t.Fatal(err)
		}
		c.Advance()
		c.WALDone()
		err := tell(c, batchOf(2, &pb.Message{Type: pb.MsgHeartbeat.Enum(), Term: new(uint64(4)), Commit: new(uint64(9499))}))
		if planted {
			if err == nil || errors.Is(err, ErrMisaddressed) {
				t.Errorf("planted mistake: %v", err)
			}
			continue
		}
		if !errors.Is(err, ErrMisaddressed) {
			t.Errorf("a batch for another member: %v", err)
		}
		if g := c.groups[0]; g.term != 0 || g.state != raft.StateFollower {
			t.Errorf("it has told the group term %d", g.term)
		}
		if err := tell(c, batchOf(9, &pb.Message{Type: pb.MsgHeartbeat.Enum(), Term: new(uint64(4))})); err != nil {
			t.Errorf("a batch for it: %v", err)
		}
	}
}

// tell has a core take a batch of member 1; a panic of Raft is an error.
func tell(c *Core, batch []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return c.Receive(1, batch)
}
