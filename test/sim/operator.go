package sim

import (
	"fmt"
	"slices"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// maxNodes bounds the nodes of a run, those that were wiped or have left included.
const maxNodes = 10

// maxReplicas is how many of a partition the operator asks for at most; the number never falls.
const maxReplicas = 5

// operator changes the ring now and then: nodes join, leave, are replaced, get other weights and zones, partitions get
// more replicas, changes are paused, resumed, throttled, cancelled, indexes are created and dropped. In the calm it brings to an end what was begun
// and replaces what is lost.
func (w *world) operator() {
	w.after(w.between(200*ms, 3*second), w.operator)
	n := w.metaLeader()
	if n == nil || n.doc == nil {
		return
	}
	doc := n.doc
	var kind string
	var next *ring.Document
	switch {
	case w.calm:
		kind, next = "tidied", w.tidy(doc)
	case w.chance(0.2):
		kind, next = w.catalog(doc)
	case doc.Change != nil:
		kind, next = w.meddle(doc)
	default:
		kind, next = w.begin(doc)
	}
	if next == nil {
		return
	}
	w.logf("the operator proposes epoch %d", next.Epoch)
	w.deliver(func() {
		if n.up {
			n.proposeRing(doc.Epoch, next, func(r op.WriteResult) {
				w.logf("epoch %d: answer %d", next.Epoch, r.Code)
				if r.Code == op.OK {
					w.edits[kind]++
				}
			})
		}
	})
}

// metaLeader is a node that believes that it leads the meta group.
func (w *world) metaLeader() *node {
	for _, n := range w.nodes {
		if n.up && n.member != 0 && n.leaderOf(ring.MetaPartition) == n.member {
			return n
		}
	}
	return nil
}

// published notes a document that the meta group has committed.
func (w *world) published(doc *ring.Document) {
	if doc.Epoch > w.newest.Epoch {
		w.newest = doc
		if doc.Change == nil {
			w.changes++
		}
	}
}

// meddle does something to the running change.
func (w *world) meddle(doc *ring.Document) (kind string, next *ring.Document) {
	switch k := w.rng.IntN(10); {
	case doc.Change.Paused && k < 5:
		kind = "resume"
		next, _ = doc.Resume()
	case k == 0 && !doc.Change.Paused:
		kind = "pause"
		next, _ = doc.Pause()
	case k == 1 && !doc.Change.Canceled:
		kind = "cancel"
		next, _ = doc.Cancel()
	case k == 2:
		kind = "throttle"
		next, _ = doc.Throttle(w.between(0, 1<<20))
	}
	if next != nil {
		w.logf("operator: %s", kind)
	}
	return kind, next
}

// begin draws a change.
func (w *world) begin(doc *ring.Document) (kind string, next *ring.Document) {
	members := slices.Clone(doc.Members)
	usable := w.usable(members)
	i := w.rng.IntN(len(members))
	for j := range members {
		if w.lostMember(members[j].ID) {
			i = j
		}
	}
	copies := doc.Replicas
	switch k := w.rng.IntN(7); {
	case k == 0 && len(usable) > copies || k == 1 && len(usable) > copies+1:
		kind, members[i].State = "leave", ring.Leaving
	case k == 2 || w.lostMember(members[i].ID):
		kind, members[i].State = "replace", ring.Leaving
		members = w.join(doc, members)
	case k == 3:
		kind, members[i].Weight = "weight", 1+w.rng.IntN(4)
	case k == 4:
		kind, members[i].Zone = "zone", []string{"", "a", "b", "c"}[w.rng.IntN(4)]
	case k == 5 && copies < maxReplicas && len(usable) > copies:
		kind = "more replicas"
		copies++
	default:
		kind, members = "join", w.join(doc, members)
	}
	w.logf("operator: %s, member %d", kind, doc.Members[i].ID)
	return kind, w.plan(doc, members, copies)
}

// usable are the members that have their disks and do not leave.
func (w *world) usable(members []ring.Member) (out []uint64) {
	for _, m := range members {
		if m.State != ring.Leaving && !w.lostMember(m.ID) {
			out = append(out, m.ID)
		}
	}
	return out
}

func (w *world) lostMember(id uint64) bool {
	n := w.byMember(id)
	return n != nil && n.lost
}

// join names a node that is no member yet; nil if there may be no more.
func (w *world) join(doc *ring.Document, members []ring.Member) []ring.Member {
	i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.member == 0 && !n.lost })
	if i < 0 && len(w.nodes) >= maxNodes && !w.calm {
		return nil
	}
	if i < 0 {
		i = len(w.nodes)
		w.nodes = append(w.nodes, w.newNode(i))
		if l := slices.IndexFunc(w.nodes, func(n *node) bool { return n.lost && n.heir == nil }); l >= 0 {
			w.nodes[l].heir = w.nodes[i]
		}
		w.nodes[i].start()
	}
	n := w.nodes[i]
	return doc.NewMember(members, ring.Member{JID: fmt.Sprintf("dn%d@example.org/store", i+1), Store: n.store.String()})
}

func (w *world) plan(doc *ring.Document, members []ring.Member, copies int) *ring.Document {
	if members == nil {
		return nil
	}
	from := *doc
	from.Replicas = copies
	plan, err := ring.MakePlan(&from, members, ring.PlanOptions{})
	if err != nil {
		return nil // too few would be left
	}
	next, err := plan.Begin(&from, members, fmt.Sprint("change-", doc.Epoch), 0, 0)
	if err != nil {
		return nil
	}
	return next
}

// tidy ends what was begun, and replaces members whose disks are lost.
func (w *world) tidy(doc *ring.Document) (next *ring.Document) {
	if c := doc.Change; c != nil {
		if c.Paused {
			next, _ = doc.Resume()
		} else if !c.Canceled && w.wantsLost(doc) {
			next, _ = doc.Cancel()
		}
		return next
	}
	members := slices.Clone(doc.Members)
	lost := false
	for i := range members {
		if w.lostMember(members[i].ID) {
			members[i].State, lost = ring.Leaving, true
		}
	}
	if !lost {
		return nil
	}
	if len(w.usable(members)) < doc.Replicas {
		members = w.join(doc, members)
	}
	w.logf("operator: what is lost is replaced")
	return w.plan(doc, members, doc.Replicas)
}

// wantsLost tells whether the change waits for a replica on a disk that is lost.
func (w *world) wantsLost(doc *ring.Document) bool {
	for g := range w.groups() {
		for _, id := range doc.Goal(g) {
			if w.lostMember(id) && !slices.Contains(doc.Group(g), id) {
				return true
			}
		}
	}
	return false
}

// groups yields all of them.
func (w *world) groups() func(func(uint32) bool) {
	return func(yield func(uint32) bool) {
		for g := range uint32(partitions) {
			if !yield(g) {
				return
			}
		}
		yield(ring.MetaPartition)
	}
}

// lost tells whether a disk was wiped that some group still counts on, or may.
func (w *world) anyLost() bool {
	for _, n := range w.nodes {
		if !n.lost {
			continue
		}
		for g := range w.groups() {
			if slices.Contains(w.newest.Group(g), n.member) || slices.Contains(w.newest.Goal(g), n.member) || w.check.inConf(g, n.member) {
				return true
			}
		}
	}
	return false
}
