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
	Rounds   []Round
	Warnings []string
}

// maxRounds bounds MakePlan; replacing every replica takes Replicas rounds, and
// a few more may even out.
const maxRounds = 2*maxReplicas + 4

// MakePlan works out the rounds from d's table to an even one over members. It
// changes nothing. Errors: those of Assign.
func MakePlan(d *Document, members []Member) (*Plan, error) {
	pl := &Plan{Warnings: warnings(d, members)}
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
		table, meta = r.Target, r.Meta
	}
	if n := len(pl.Rounds); n > 1 {
		pl.Warnings = append(pl.Warnings, fmt.Sprintf("%d rounds are needed, because no partition replaces more than one replica at a time", n))
	}
	return pl, nil
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
	n.Change = &Change{ID: id, Target: n.Table, Meta: n.Meta, Since: n.Epoch, Rate: rate, Begun: begun}
	if len(pl.Rounds) > 0 {
		n.Change.Target, n.Change.Meta, n.Change.Rounds = pl.Rounds[0].Target, pl.Rounds[0].Meta, len(pl.Rounds)-1
	}
	for _, r := range pl.Rounds {
		for _, m := range r.Moves {
			if m.Add != 0 {
				n.Change.Moves++
			}
		}
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

// warnings tells what an operator should know before starting.
func warnings(d *Document, members []Member) []string {
	var out []string
	present := make(map[uint64]bool)
	zones := make(map[string]bool)
	unzoned := 0
	for _, m := range members {
		present[m.ID] = true
		if m.State == Leaving {
			continue
		}
		if m.Zone == "" {
			unzoned++
		} else {
			zones[m.Zone] = true
		}
	}
	lost := 0
	for _, row := range d.Table {
		gone := 0
		for _, id := range row {
			if !present[id] {
				gone++
			}
		}
		if 2*gone >= len(row) && gone > 0 {
			lost++
		}
	}
	if lost > 0 {
		out = append(out, fmt.Sprintf("%d partitions lost half or more of their replicas: they cannot elect a leader; bring those members back first", lost))
	}
	if n := len(zones); n > 0 && unzoned > 0 {
		out = append(out, fmt.Sprintf("%d members have no zone; each counts as a zone of its own", unzoned))
	} else if n > 0 && n < d.Replicas {
		out = append(out, fmt.Sprintf("%d zones for %d replicas: a lost zone can take more than one replica of a partition", n, d.Replicas))
	}
	return out
}
