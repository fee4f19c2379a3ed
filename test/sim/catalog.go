package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// maxIndexes is how many indexes there are at once.
const maxIndexes = 3

// catalog creates an index, or drops one.
func (w *world) catalog(doc *ring.Document) (kind string, next *ring.Document) {
	var err error
	if n := len(doc.Indexes); n > 0 && (n == maxIndexes || w.chance(0.6)) {
		kind = "index dropped"
		next, err = doc.DropIndex(doc.Indexes[w.rng.IntN(n)].Name)
	} else {
		kind = "index created"
		x := ring.Index{Name: fmt.Sprint("index-", doc.Epoch), Prefix: "root-", Path: "*", Field: "n"}
		if w.chance(0.3) {
			x.Path = "p0"
		}
		next, err = doc.AddIndex(x)
	}
	if err != nil {
		w.fail("%s at epoch %d: %w", kind, doc.Epoch, err)
		return "", nil
	}
	w.logf("operator: %s", kind)
	return kind, next
}

// chores are what a leader does by itself, as replication's do: it tells its groups the indexes of the document, and
// proposes a tick where something is due.
func (n *node) chores() {
	n.later(n.w.between(150*ms, 250*ms), n.chores)
	if n.doc == nil || n.w.opt.Faults.IndexesUntold {
		return
	}
	for g := range uint32(partitions) {
		part := n.parts[g]
		if part == nil || n.leaderOf(g) != n.member {
			continue
		}
		switch has, told := part.Indexes(); {
		case told < n.doc.Epoch && !sameIndexes(has, n.doc.Indexes):
			n.command(g, state.EncodeIndexes(nil, n.clock(), n.doc.Epoch, n.doc.Indexes))
		case part.NextExpiry() != 0:
			n.command(g, state.EncodeTick(nil, n.clock()))
		}
	}
}

// sameIndexes compares regardless of the order.
func sameIndexes(has []state.IndexState, want []ring.Index) bool {
	return len(has) == len(want) && !slices.ContainsFunc(has, func(x state.IndexState) bool { return !slices.Contains(want, x.Index) })
}

// indexed says what is missing until a replica has the indexes of the document, and can be asked for them.
func indexed(part *state.Partition, want []ring.Index) string {
	has, told := part.Indexes()
	if !sameIndexes(has, want) {
		return fmt.Sprintf("has the indexes %v of epoch %d, and there should be %v", has, told, want)
	}
	if slices.ContainsFunc(has, func(x state.IndexState) bool { return !x.Ready }) || part.NextExpiry() != 0 {
		return "is still building indexes, or removing them"
	}
	return ""
}

// entry is an object as an index has it, or should.
type entry struct {
	root, path string
	version    uint64
	key        float64
}

// compareIndexes holds what each index of a replica says against its objects.
func (w *world) compareIndexes(n *node, part *state.Partition) {
	all := part.Read(&op.Read{Kind: op.Scan, FromStart: true, Values: true, Limit: 1000})
	if all.Code != op.OK || all.More {
		w.fail("node %d: a scan of group %d is answered with code %d, more: %v", n.id(), part.ID(), all.Code, all.More)
		return
	}
	for _, x := range w.newest.Indexes {
		res := part.Read(&op.Read{Kind: op.Query, Index: x.Name, IndexID: x.ID, Limit: 1000})
		if res.Code != op.OK || res.More {
			w.fail("node %d: a query of %s in group %d is answered with code %d, more: %v: %s", n.id(), x.Name, part.ID(), res.Code, res.More, res.Text)
			return
		}
		var has []entry
		for _, o := range res.Objects {
			has = append(has, entry{o.Root, o.Path, o.Version, o.Key.Number})
		}
		if want := entries(all.Objects, x); !slices.Equal(has, want) {
			w.fail("node %d: index %s of group %d has %+v; by the objects it is %+v", n.id(), x.Name, part.ID(), has, want)
		}
		w.queried += len(has)
	}
}

// entries are those that an index should have, in its order.
func entries(objects []op.Object, x ring.Index) (want []entry) {
	for _, o := range objects {
		var v struct{ N *float64 }
		if x.Path != "*" && x.Path != o.Path || !strings.HasPrefix(o.Root, x.Prefix) || json.Unmarshal(o.Value, &v) != nil || v.N == nil {
			continue
		}
		want = append(want, entry{o.Root, o.Path, o.Version, *v.N})
	}
	slices.SortFunc(want, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.root, b.root), cmp.Compare(a.path, b.path))
	})
	return want
}
