package sim

import (
	"bytes"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
)

// Witnesses are objects that are written once, in the beginning. Whatever a replica
// answers later, at whatever time, it must answer what was written.
type witness struct {
	since int64 // when the last write was acknowledged; 0: not yet
}

const witnessPaths = 3

func witnessRoot(group uint32) string { return fmt.Sprint("witness-", group) }

func witnessValue(group uint32, path int) []byte {
	return fmt.Appendf(nil, "group %d saw %d", group, path)
}

// witnessKey is the key in the state of one that is damaged.
func (w *world) witnessKey(group uint32) []byte {
	return fmt.Appendf(nil, "%s\x00p%d", witnessRoot(group), w.rng.IntN(witnessPaths))
}

// writeWitness writes a group's, one after the other.
func (w *world) writeWitness(group uint32) {
	c := newClient(w, clients+1+int(group))
	path := 0
	c.script = func() *operation {
		if path == witnessPaths {
			w.witnesses[group].since = w.now
			return nil
		}
		o := &operation{}
		o.Write = &op.Write{Root: witnessRoot(group), Mutations: []op.Mutation{{Kind: op.Put, Path: fmt.Sprint("p", path), Value: witnessValue(group, path)}}}
		return o
	}
	c.told = func(ok bool) {
		if ok {
			path++
		}
	}
	c.scripted = group
	w.clients = append(w.clients, c)
	c.next()
}

// askWitnesses reads one now and then from any replica, rather a damaged one.
func (w *world) askWitnesses() {
	w.after(w.between(5*ms, 40*ms), w.askWitnesses)
	n, group := w.nodes[w.rng.IntN(len(w.nodes))], uint32(w.rng.IntN(partitions))
	if o := w.markedNode(group); o != nil && w.chance(0.5) {
		n = o
	}
	path, since := w.rng.IntN(witnessPaths), w.witnesses[group].since
	const age = 1000
	if !n.up || since == 0 || w.now < since+2*age*ms {
		return
	}
	life := n.life
	r := &op.Read{Kind: op.Get, Root: witnessRoot(group), Path: fmt.Sprint("p", path), Stale: true, MaxAge: age}
	n.core.Read([]core.ReadRequest{{Group: group, Read: r, Now: w.now * 1000, Done: func(res op.ReadResult) {
		if res.Code != op.OK && res.Code != op.NotFound || n.life != life {
			return
		}
		w.asked++
		if res.Code == op.OK && bytes.Equal(res.Objects[0].Value, witnessValue(group, path)) {
			return
		}
		if m := w.marks[diskKey{n.index, group}]; m == nil || !m.wrong || m.condemns {
			w.fail("group %d: node %d answers a read of %s with code %d, %+v", group, n.id(), r.Path, res.Code, res.Objects)
		}
	}}})
	n.step()
}
