package ring

import "fmt"

// Move is the replacement of one replica of a partition. Add or Remove is 0
// where a replica is only removed or only added.
type Move struct {
	Partition uint32
	Add       uint64
	Remove    uint64
}

// Round is one change of the table in which no partition replaces more than one
// replica. The next round starts when it is done.
type Round struct {
	Target    [][]uint64
	Meta      []uint64 // the meta group
	Moves     []Move
	Transfers int  // preferred leaders that change
	meta      bool // the meta group changes
}

// still says whether a round has nothing to do.
func (r *Round) still() bool { return len(r.Moves) == 0 && r.Transfers == 0 && !r.meta }

// nextRound works out the round that follows a table and a meta group. Errors:
// those of Assign.
func nextRound(table [][]uint64, meta []uint64, members []Member, replicas int) (Round, error) {
	next, err := Assign(table, members, replicas)
	if err != nil {
		return Round{}, err
	}
	r := Round{Target: next, Meta: nextMeta(meta, members)}
	r.Moves, r.Transfers = Diff(table, next)
	r.meta = !sameMembers(meta, r.Meta)
	return r, nil
}

// Plan is what it takes to reach an even table, for an operator to look at.
type Plan struct {
	Rounds    []Round
	Moves     int   // replicas that are made
	Least     int   // the fewest that any plan needs for as even a table, zones left aside
	Transfers int   // preferred leaders that change
	Bytes     int64 // to be copied; 0 where sizes are not known
	Warnings  []string
}

// PlanOptions is what is known beside the document.
type PlanOptions struct {
	Sizes []int64         // bytes of one replica, by partition; nil: not known
	Down  map[uint64]bool // members that are not there
}

// maxRounds bounds MakePlan; replacing every replica takes Replicas rounds, and
// a few more may even out.
const maxRounds = 2*maxReplicas + 4

// MakePlan works out the rounds from d's table to an even one over members. It
// changes nothing. Errors: those of Assign.
func MakePlan(d *Document, members []Member, opt PlanOptions) (*Plan, error) {
	pl := &Plan{Least: leastMoves(d.Table, members, d.Replicas)}
	table, meta := d.Table, d.Meta
	for range maxRounds {
		r, err := nextRound(table, meta, members, d.Replicas)
		if err != nil {
			return nil, err
		}
		if r.still() {
			break
		}
		pl.Rounds = append(pl.Rounds, r)
		pl.Transfers += r.Transfers
		for _, m := range r.Moves {
			if m.Add == 0 {
				continue
			}
			pl.Moves++
			if int(m.Partition) < len(opt.Sizes) {
				pl.Bytes += opt.Sizes[m.Partition]
			}
		}
		table, meta = r.Target, r.Meta
	}
	w := warner{d: d, members: members, down: opt.Down, rounds: len(pl.Rounds), moves: pl.Moves, table: table, meta: meta}
	pl.Warnings = w.all()
	return pl, nil
}

// leastMoves counts the replicas that members lack of their share.
func leastMoves(table [][]uint64, members []Member, replicas int) int {
	l := newLayout(table, members, replicas)
	n := 0
	for m := range l.ids {
		if l.usable[m] {
			n += max(l.target[m]-l.load[m], 0)
		}
	}
	return n
}

// Begin returns the document that starts a plan made from d: members with their
// new states and the first round's target. id names the change, rate is in
// bytes a second for each node (0: its default), begun in milliseconds since
// 1970. Errors: a change is running, or what Validate finds.
func (pl *Plan) Begin(d *Document, members []Member, id string, rate, begun int64) (*Document, error) {
	if d.Change != nil {
		return nil, fmt.Errorf("change %s is running: wait until it is done, or cancel it", d.Change.ID)
	}
	n := d.Next()
	n.Members = number(members)
	n.LastID = n.lastID()
	n.Change = &Change{ID: id, Target: n.Table, Meta: n.Meta, Since: n.Epoch, Moves: pl.Moves, Rate: rate, Begun: begun}
	if len(pl.Rounds) > 0 {
		n.Change.Target, n.Change.Meta, n.Change.Rounds = pl.Rounds[0].Target, pl.Rounds[0].Meta, len(pl.Rounds)-1
	}
	if err := n.Validate(); err != nil {
		return nil, err
	}
	return n, nil
}

// Diff lists what changes from one table to another of the same length, and
// counts the preferred leaders that change.
func Diff(old, next [][]uint64) (moves []Move, transfers int) {
	for p := range next {
		var was []uint64
		if p < len(old) {
			was = old[p]
		}
		added, removed := without(next[p], was), without(was, next[p])
		for i := range max(len(added), len(removed)) {
			m := Move{Partition: uint32(p)}
			if i < len(added) {
				m.Add = added[i]
			}
			if i < len(removed) {
				m.Remove = removed[i]
			}
			moves = append(moves, m)
		}
		if len(was) > 0 && len(next[p]) > 0 && was[0] != next[p][0] {
			transfers++
		}
	}
	return moves, transfers
}

// without returns the ids of a that are not in b.
func without(a, b []uint64) []uint64 {
	var out []uint64
next:
	for _, x := range a {
		for _, y := range b {
			if x == y {
				continue next
			}
		}
		out = append(out, x)
	}
	return out
}
