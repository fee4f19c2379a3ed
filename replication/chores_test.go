package replication

import (
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
)

// work is what is due in some groups: pieces of it, each done by one tick.
type work struct {
	left  map[uint32]int
	at    int64
	open  []Proposal
	ticks int
}

func newWork(at int64, left map[uint32]int, leads ...uint32) (*work, *chores, *int64) {
	w := &work{left: left, at: at}
	now := new(int64)
	c := &chores{
		clock: func() int64 { return *now },
		due: func(g uint32) int64 {
			if w.left[g] > 0 {
				return w.at
			}
			return 0
		},
		leads: func(g uint32) bool {
			for _, l := range leads {
				if l == g {
					return true
				}
			}
			return false
		},
		propose: func(p Proposal) { w.open = append(w.open, p) },
	}
	c.ticking = make(map[uint32]*atomic.Bool)
	return w, c, now
}

// apply answers the oldest tick.
func (w *work) apply(code op.Code) {
	p := w.open[0]
	w.open = w.open[1:]
	w.ticks++
	if code == op.OK {
		w.left[p.Group]--
	}
	p.Done(op.WriteResult{Code: code})
}

func TestTicksComeWhenSomethingIsDue(t *testing.T) {
	w, c, now := newWork(1000, map[uint32]int{1: 3, 2: 1}, 1)
	groups := []uint32{0, 1, 2}
	*now = 999
	c.look(groups)
	if len(w.open) != 0 {
		t.Fatal("a tick before its time")
	}
	*now = 1000
	c.look(groups)
	c.look(groups)
	if len(w.open) != 1 || w.open[0].Group != 1 {
		t.Fatalf("%d ticks; want one, in the group led here", len(w.open))
	}
	for len(w.open) > 0 {
		w.apply(op.OK)
	}
	c.look(groups)
	if w.ticks != 3 || w.left[1] != 0 || len(w.open) != 0 || c.under.Load() != 0 {
		t.Errorf("%d ticks, %d left, %d under way, %d counted", w.ticks, w.left[1], len(w.open), c.under.Load())
	}
}

func TestTicksThatFailAreTriedLater(t *testing.T) {
	w, c, now := newWork(1000, map[uint32]int{1: 1}, 1)
	*now = 2000
	c.look([]uint32{1})
	w.apply(op.Retry)
	if len(w.open) != 0 {
		t.Fatal("tried again at once")
	}
	c.look([]uint32{1})
	if len(w.open) != 1 {
		t.Fatal("not tried again")
	}
}

func TestTicksAreBounded(t *testing.T) {
	left := make(map[uint32]int)
	var groups []uint32
	for g := range uint32(100) {
		left[g] = 1
		groups = append(groups, g)
	}
	w, c, now := newWork(1000, left, groups...)
	*now = 1000
	c.look(groups)
	if len(w.open) != maxTicks {
		t.Fatalf("%d ticks at once", len(w.open))
	}
	for rounds := 0; len(left) > 0 && rounds < 100; rounds++ {
		for len(w.open) > 0 {
			w.apply(op.OK)
		}
		c.look(groups)
	}
	for g, n := range left {
		if n != 0 {
			t.Errorf("group %d was never its turn", g)
		}
	}
}

// TestIdleGroupsExpire: what nobody writes to any more expires on every replica,
// and the group sleeps again.
func TestIdleGroupsExpire(t *testing.T) {
	c := newTestCluster(t, 3, 1, nil)
	s := c.session(0)
	eventually(t, "written", func() bool {
		res := propose(c.leader(0), 0, state.EncodeWrite(nil, 1, state.OwnerOf("app@example.org"), &op.Write{
			Root: "root", Session: s, Seq: 1, Floor: 1, Mutations: []op.Mutation{{Kind: op.Put, Path: "p", TTL: 1}},
		}))
		return res.Code == op.OK
	})
	eventually(t, "expired everywhere", func() bool {
		for _, n := range c.net.nodes {
			if n.part(0).NextExpiry() != 0 {
				return false
			}
		}
		return true
	})
	eventually(t, "asleep", func() bool {
		for _, n := range c.net.nodes {
			for _, g := range n.Groups() {
				if g.Group == 0 && !g.Asleep {
					return false
				}
			}
		}
		return true
	})
}
