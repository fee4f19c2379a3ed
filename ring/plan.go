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
	Moves     []Move
	Transfers int // preferred leaders that change
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
	table := d.Table
	for range maxRounds {
		next, err := Assign(table, members, d.Replicas)
		if err != nil {
			return nil, err
		}
		moves, transfers := Diff(table, next)
		if len(moves) == 0 && (transfers == 0 || len(pl.Rounds) > 0) {
			break
		}
		pl.Rounds = append(pl.Rounds, Round{Target: next, Moves: moves, Transfers: transfers})
		table = next
		if len(moves) == 0 {
			break
		}
	}
	if n := len(pl.Rounds); n > 1 {
		pl.Warnings = append(pl.Warnings, fmt.Sprintf("%d rounds are needed, because no partition replaces more than one replica at a time", n))
	}
	return pl, nil
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
