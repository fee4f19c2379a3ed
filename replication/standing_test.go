package replication

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
)

// watchedLink notes which term a node tells when it sends something.
type watchedLink struct {
	testLink
	n    *Node
	told uint64
}

func (l *watchedLink) Send(uint64, []byte) { l.told = l.n.Term(7) }

// TestStandingIsPublishedFirst: when a batch leaves, the term that it may be about is
// known already. The planted mistake publishes it afterwards.
func TestStandingIsPublishedFirst(t *testing.T) {
	for _, fault := range []bool{false, true} {
		dir, err := OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close() //nolint:errcheck // nothing was written
		l := &watchedLink{}
		n := newNode(withDefaults(Config{Dir: dir, Transport: l, Faults: core.Faults{PublishedLate: fault}}), nil)
		l.n = n
		n.carryOut(&core.Round{Standings: []core.Standing{{Group: 7, Term: 5}}, Sends: []core.Send{{To: 2}}})
		if (l.told == 5) == fault {
			t.Errorf("fault %v: while it sends, the node tells term %d", fault, l.told)
		}
		if n.Term(7) != 5 || n.Term(8) != 0 {
			t.Errorf("terms %d, %d", n.Term(7), n.Term(8))
		}
	}
}

func TestReadConfirmedBy(t *testing.T) {
	c := newTestCluster(t, 3, 1, func(cfg *Config) { cfg.OnFatal = nil })
	leader := c.leader(0)
	me := leader.cfg.Dir.Member()
	other := c.node(int(me % 3))
	get := &op.Read{Kind: op.Get, Root: "r", Path: "p"}
	var res op.ReadResult
	var term uint64
	eventually(t, "the leader answers at once", func() bool {
		res, term = leader.ReadConfirmedBy(other.cfg.Dir.Member(), 0, get)
		return term != 0
	})
	if res.Code != op.NotFound {
		t.Errorf("answer %+v", res)
	}
	eventually(t, "another voter is in its term", func() bool { return other.Term(0) == term })
	if _, term := leader.ReadConfirmedBy(me, 0, get); term != 0 {
		t.Error("the leader counts twice")
	}
	if _, term := leader.ReadConfirmedBy(9, 0, get); term != 0 {
		t.Error("somebody who is no voter counts")
	}
	if _, term := leader.ReadConfirmedBy(other.cfg.Dir.Member(), 5, get); term != 0 {
		t.Error("a group that is not here is read")
	}
	if _, term := other.ReadConfirmedBy(me, 0, get); term != 0 {
		t.Error("a follower answers like a leader")
	}
	leader.fail(ErrClosed) // stands for any reason
	if _, term := leader.ReadConfirmedBy(other.cfg.Dir.Member(), 0, get); term != 0 || leader.Term(0) != 0 {
		t.Error("a node that has failed answers")
	}
}

// TestDeposedLeaderIsNotConfirmed: who has voted for another says so to whoever asks.
func TestDeposedLeaderIsNotConfirmed(t *testing.T) {
	c := newTestCluster(t, 3, 1, nil)
	old := c.leader(0)
	me := old.cfg.Dir.Member()
	get := &op.Read{Kind: op.Get, Root: "r", Path: "p"}
	var term uint64
	eventually(t, "the leader answers at once", func() bool {
		_, term = old.ReadConfirmedBy(me%3+1, 0, get)
		return term != 0
	})
	c.net.setCut(me, true)
	a, b := c.node(int(me%3)), c.node(int((me+1)%3))
	eventually(t, "another leads", func() bool {
		_, at := a.ReadConfirmedBy(b.cfg.Dir.Member(), 0, get)
		_, bt := b.ReadConfirmedBy(a.cfg.Dir.Member(), 0, get)
		return max(at, bt) > term
	})
	if a.Term(0) == term || b.Term(0) == term {
		t.Errorf("after an election: terms %d and %d, before it %d", a.Term(0), b.Term(0), term)
	}
}
