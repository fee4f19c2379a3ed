package sim

import (
	"sort"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
)

// acks notes when the entries of a group were acknowledged, in order of time.
type acks []ack

type ack struct {
	at    int64
	index uint64 // the highest so far
}

func (a acks) note(at int64, index uint64) acks {
	if n := len(a); n > 0 && a[n-1].index >= index {
		return a
	}
	return append(a, ack{at, index})
}

// before is the highest index that was acknowledged at that time or earlier.
func (a acks) before(at int64) uint64 {
	i := sort.Search(len(a), func(i int) bool { return a[i].at > at })
	if i == 0 {
		return 0
	}
	return a[i-1].index
}

// staleReads asks any node now and then for a state of a bounded age, and checks
// that the answer shows all that was acknowledged before that.
func (w *world) staleReads() {
	if w.calm {
		return
	}
	w.after(w.between(5*ms, 60*ms), w.staleReads)
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	group := uint32(w.rng.IntN(partitions))
	age := []int64{0, 1, 20, 200, 1000}[w.rng.IntN(5)]
	if !n.up {
		return
	}
	begun, life := w.now, n.life
	r := &op.Read{Kind: op.Get, Root: "root-0", Stale: true, MaxAge: age}
	n.core.Read([]core.ReadRequest{{Group: group, Read: r, Now: w.now * 1000, Done: func(res op.ReadResult) {
		if res.Code != op.OK && res.Code != op.NotFound || n.life != life || n.parts[group] == nil {
			return
		}
		index, _ := n.parts[group].Applied()
		if want := w.acked[group].before(begun - age*ms); index < want {
			w.fail("group %d: node %d answers a read that allows %d ms from index %d; %d was acknowledged before", group, n.id(), age, index, want)
		}
		w.stale++
		w.shown[group] = w.shown[group].note(w.now, index)
	}}})
	n.step()
}
