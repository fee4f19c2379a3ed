package sim

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
	"github.com/rosterdb/rosterdb/test/linearizability"
)

const (
	replicas  = 3
	clients   = 4
	converge  = 60 * second // virtual time the cluster has to settle in the calm
	checkTime = 5 * time.Second
)

// DefaultLength is that of the stormy part, in virtual microseconds, which tests
// and make sim give their runs.
const DefaultLength = 12 * second

// Report tells what a run did.
type Report struct {
	Operations int
	Unknown    int
	Changes    int            // of the ring, completed
	Stale      int            // reads of a bounded age that were served
	Confirmed  int            // reads that their askers confirmed
	Scrubs     int            // begun
	Damaged    int            // states found damaged
	Repaired   int            // states replaced by that of another replica for that reason
	Faults     map[string]int // by kind
	Edits      map[string]int // of the ring document by the operator, by kind
	Indexed    int            // entries of indexes that were compared with their objects, in the end
	Repeated   int            // writes that came again
	Below      int            // writes that came again below their session's floor
	Undecided  int            // 1: the history could not be judged in time
	Trace      uint64         // equal for equal seeds
}

// Add adds what another run did.
func (r *Report) Add(o Report) {
	r.Operations += o.Operations
	r.Unknown += o.Unknown
	r.Changes += o.Changes
	r.Stale += o.Stale
	r.Confirmed += o.Confirmed
	r.Scrubs += o.Scrubs
	r.Damaged += o.Damaged
	r.Repaired += o.Repaired
	r.Undecided += o.Undecided
	r.Indexed += o.Indexed
	r.Repeated += o.Repeated
	r.Below += o.Below
	r.Faults, r.Edits = total(r.Faults, o.Faults), total(r.Edits, o.Edits)
}

func total(sum, more map[string]int) map[string]int {
	if sum == nil {
		sum = make(map[string]int)
	}
	for kind, n := range more {
		sum[kind] += n
	}
	return sum
}

// Kinds lists how often each of something happened.
func Kinds(counts map[string]int) string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return strings.Join(out, ", ")
}

// Run does one run; the error is the first violation.
func Run(opt Options) (rep Report, err error) {
	withRandom(opt.Seed, func() { rep, err = run(opt) })
	if err != nil {
		err = fmt.Errorf("seed %d: %w", opt.Seed, err)
	}
	return rep, err
}

func run(opt Options) (Report, error) {
	w := &world{opt: opt, rng: rand.New(rand.NewPCG(opt.Seed, 0x51)), acked: make(map[uint32]acks), shown: make(map[uint32]acks), heard: make(map[diskKey]uint64), faults: make(map[string]int), edits: make(map[string]int), marks: make(map[diskKey]*mark), wronged: make(map[diskKey]int64)}
	w.check = newChecker(w)
	w.heal()
	w.setNetwork(0, 0, 200, 2*ms)
	count := replicas
	if w.chance(0.25) {
		count = 5
	}
	w.sleepTicks = int(w.between(2, 24))
	for i := range count {
		w.nodes = append(w.nodes, w.newNode(i))
	}
	w.bootstrap()
	for _, n := range w.nodes {
		w.after(w.between(0, 200*ms), n.start)
	}
	for i := range clients {
		c := newClient(w, i)
		w.clients = append(w.clients, c)
		c.next()
	}
	for g := range uint32(partitions) {
		w.writeWitness(g)
	}
	w.askWitnesses()
	w.after(second, w.scrub)
	w.after(second, w.storm)
	w.after(second, w.operator)
	w.after(second, w.staleReads)
	w.after(second, w.confirmedReads)
	w.run(opt.Length, nil)
	w.end()
	w.run(w.now+converge, w.settled)
	if w.err == nil && !w.settled() {
		w.fail("the cluster did not settle: %s", w.unsettled())
		w.dump()
	}
	w.finalReads()
	for _, n := range w.nodes {
		if n.up {
			n.close()
		}
	}
	rep := Report{Operations: len(w.history), Stale: w.stale, Confirmed: w.confirmed, Changes: w.changes, Scrubs: w.scrubs, Damaged: w.found, Repaired: w.repaired, Faults: w.faults, Trace: w.trace}
	rep.Edits, rep.Indexed, rep.Repeated, rep.Below = w.edits, w.queried, w.check.once.repeated, w.check.once.below
	for i := range w.history {
		if w.history[i].Unknown {
			rep.Unknown++
		}
	}
	if w.err == nil {
		switch err := linearizability.Check(w.history, checkTime); {
		case errors.Is(err, linearizability.ErrUndecided):
			rep.Undecided = 1
		case err != nil:
			w.fail("%w", err)
		}
	}
	return rep, w.err
}

// settled tells whether all clients are done and all replicas are level.
func (w *world) settled() bool { return w.calm && w.unsettled() == "" }

func (w *world) unsettled() string {
	for _, c := range w.clients {
		if c.op != nil {
			return fmt.Sprintf("client %d waits for an answer", c.id)
		}
	}
	doc := w.newest
	if doc.Change != nil {
		return fmt.Sprintf("the change of epoch %d has not ended", doc.Epoch)
	}
	if slices.ContainsFunc(doc.Members, func(m ring.Member) bool { return w.lostMember(m.ID) }) {
		return "a lost member has not been replaced"
	}
	for g := range w.groups() {
		if n := w.markedNode(g); n != nil {
			return fmt.Sprintf("node %d, group %d: record %q may still be damaged", n.id(), g, w.marks[diskKey{n.index, g}].key)
		}
	}
	for g := range w.groups() {
		if why := w.unlevel(doc, g); why != "" {
			return fmt.Sprintf("group %d: %s", g, why)
		}
	}
	return ""
}

// unlevel says what is missing until a group is exactly where the document wants
// it, and level.
func (w *world) unlevel(doc *ring.Document, g uint32) string {
	row := doc.Group(g)
	list := w.check.confs[g]
	if cs := list[len(list)-1].cs; len(cs.GetVotersOutgoing())+len(cs.GetLearners()) > 0 || less(row, cs.GetVoters())+less(cs.GetVoters(), row) > 0 {
		return fmt.Sprintf("it has %v and should have %v", cs, row)
	}
	var level uint64
	for _, n := range w.nodes {
		if _, ok := doc.Member(n.member); !ok {
			continue // it has left
		}
		part := n.parts[g]
		switch {
		case !n.up || n.doc.Epoch != doc.Epoch:
			return fmt.Sprintf("node %d does not know epoch %d", n.id(), doc.Epoch)
		case !slices.Contains(row, n.member) && part != nil:
			return fmt.Sprintf("node %d still has a replica", n.id())
		case !slices.Contains(row, n.member):
			continue
		case part == nil:
			return fmt.Sprintf("node %d has no replica", n.id())
		case part.Damaged() != nil:
			return fmt.Sprintf("node %d is damaged: %v", n.id(), part.Damaged())
		}
		if why := indexed(part, doc.Indexes); g != ring.MetaPartition && why != "" {
			return fmt.Sprintf("node %d %s", n.id(), why)
		}
		index, _ := part.Applied()
		if level == 0 {
			level = index
		}
		if index != level {
			return fmt.Sprintf("node %d has applied %d, another %d", n.id(), index, level)
		}
	}
	return ""
}

// dump logs how the groups stand.
func (w *world) dump() {
	for _, n := range w.nodes {
		if !n.up {
			w.logf("node %d is down, lost: %v", n.id(), n.lost)
			continue
		}
		for _, g := range n.core.Groups() {
			w.logf("node %d: %+v", n.id(), g)
		}
	}
}

// bootstrap gives the first nodes the first document.
func (w *world) bootstrap() {
	doc := &ring.Document{
		Version: ring.FormatVersion, Cluster: "00000000-0000-4000-8000-000000000001", Epoch: 1,
		Partitions: partitions, Replicas: replicas, Meta: []uint64{1, 2, 3},
	}
	for i, n := range w.nodes {
		n.doc, n.member = doc, uint64(i+1)
		doc.Members = append(doc.Members, ring.Member{
			ID: n.member, JID: fmt.Sprintf("dn%d@example.org/store", i+1), Store: n.store.String(), State: ring.Active,
		})
	}
	for p := range partitions {
		var row []uint64
		for r := range replicas {
			row = append(row, uint64((p+r)%len(w.nodes)+1))
		}
		doc.Table = append(doc.Table, row)
	}
	w.first, w.newest = doc, doc
	for g := range w.groups() {
		w.check.firstConf(g, doc.Group(g))
	}
}

// finalReads compares the replicas and reads everything once more.
func (w *world) finalReads() {
	if w.err != nil {
		return
	}
	for _, n := range w.nodes {
		if !n.up {
			continue
		}
		for g := range uint32(partitions) {
			// Who was replaced while its state was known to be damaged waits to delete it.
			if p := n.parts[g]; p != nil && (p.Damaged() == nil || w.check.inConf(g, n.member)) {
				w.check.compare(n, p)
				if p.Damaged() == nil && w.check.inConf(g, n.member) {
					w.compareIndexes(n, p)
				}
			}
		}
	}
	reader := newClient(w, clients)
	for r := range partitions * rootsEach {
		for p := range pathsEach {
			o := &operation{}
			o.Read = &op.Read{Kind: op.Get, Root: fmt.Sprintf("root-%d", r), Path: fmt.Sprint("p", p)}
			reader.begin(o, uint32(r%partitions))
			w.run(w.now+converge, func() bool { return reader.op == nil })
			if reader.op != nil {
				w.fail("the last read of %s is not answered", o.Read.Root)
				return
			}
		}
	}
}
