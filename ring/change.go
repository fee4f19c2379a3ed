package ring

import "slices"

// Goal returns the replicas that a group should have now, the preferred leader
// first: those that the running change wants, or those of the table while there
// is none or it is paused. nil for an unknown partition. The slice belongs to
// the document.
func (d *Document) Goal(group uint32) []uint64 {
	c := d.Change
	switch {
	case c == nil || c.Paused:
		return d.Group(group)
	case group == MetaPartition:
		return c.Meta
	case uint64(group) < uint64(len(c.Target)):
		return c.Target[group]
	default:
		return nil
	}
}

// faults are the bugs that tests plant.
type faults struct {
	unreported bool // rows move into the table without a report of their group
	joint      bool // a joint configuration counts as reached
	stale      bool // a report by an older document counts
	hasty      bool // members are removed before the change has ended
	greedy     bool // a change called off leaves the number of replicas that it was to make
}

// Advance works out the document that follows d from what the leaders of groups
// report, by group; nil when nothing is to change. It is pure: the same
// arguments give the same document, whose epoch is d's plus one.
//
// Rows whose group has the wanted replicas move into the table, many at once.
// When all have, the next round is computed, or the change ends: joining members
// are active, leaving ones are members no longer. A canceled change ends when
// every group has come to rest: the replicas that it has then are its row (see
// Rest).
//
// A report counts when its leader works by a document that has the round's
// target (Report.Epoch at least Change.Since): such a leader leaves the
// configuration alone once it has what is wanted, so that what it reports
// remains true until there is another target.
func Advance(d *Document, reports map[uint32]Report) *Document {
	return advance(d, reports, faults{})
}

func advance(d *Document, reports map[uint32]Report, f faults) *Document {
	if d.Change == nil || d.Change.Paused {
		return nil
	}
	if d.Change.Canceled {
		next := d.Next()
		if !next.settle(reports, f) {
			return nil
		}
		next.endCanceled(f)
		return next
	}
	next := d.Next()
	moved := next.arrive(reports, f)
	if next.reached() {
		next.turn()
		return next
	}
	if f.hasty {
		next.end()
	}
	if !moved {
		return nil
	}
	return next
}

// Next returns a copy of d with the next epoch, to be changed. It shares no
// slice that the functions of this package write to.
func (d *Document) Next() *Document {
	n := *d
	n.Version = FormatVersion
	n.Epoch++
	n.LastID = d.lastID()
	n.Members = slices.Clone(d.Members)
	n.Table = slices.Clone(d.Table)
	n.Indexes = slices.Clone(d.Indexes)
	n.Access = slices.Clone(d.Access)
	if d.Change != nil {
		c := *d.Change
		n.Change = &c
	}
	return &n
}

// lastID is the highest member id ever given.
func (d *Document) lastID() uint64 {
	last := d.LastID
	for _, m := range d.Members {
		last = max(last, m.ID)
	}
	return last
}

// arrive moves the rows that have reached their target into the table, and says
// whether there were any.
func (d *Document) arrive(reports map[uint32]Report, f faults) bool {
	moved := false
	for p, target := range d.Change.Target {
		row := d.Table[p]
		if slices.Equal(row, target) {
			continue
		}
		if sameMembers(row, target) || f.unreported || d.Change.counts(reports, uint32(p), target, f) {
			d.Table[p], moved = target, true
		}
	}
	if !slices.Equal(d.Meta, d.Change.Meta) &&
		(sameMembers(d.Meta, d.Change.Meta) || d.Change.counts(reports, MetaPartition, d.Change.Meta, f)) {
		d.Meta, moved = d.Change.Meta, true
	}
	return moved
}

// counts says whether a group is reported to have exactly the members wanted.
func (c *Change) counts(reports map[uint32]Report, group uint32, want []uint64, f faults) bool {
	r, ok := reports[group]
	return ok && (r.Epoch >= c.Since || f.stale) && (!r.Joint || f.joint) && len(r.Learners) == 0 && sameMembers(r.Voters, want)
}

// reached says whether the round is complete.
func (d *Document) reached() bool {
	if !slices.Equal(d.Meta, d.Change.Meta) {
		return false
	}
	for p, target := range d.Change.Target {
		if !slices.Equal(d.Table[p], target) {
			return false
		}
	}
	return true
}

// settle takes the replicas at which groups came to rest into the table, and says
// whether all groups have.
func (d *Document) settle(reports map[uint32]Report, f faults) bool {
	rest := func(group uint32, row []uint64) []uint64 {
		if at := Rest(reports[group].Voters, row); d.Change.counts(reports, group, at, f) && d.validateRow(at) == nil {
			return at
		}
		return nil
	}
	for p, row := range d.Table {
		if d.Table[p] = rest(uint32(p), row); d.Table[p] == nil {
			return false
		}
	}
	d.Meta = rest(MetaPartition, d.Meta)
	return d.Meta != nil
}

// Rest is where a group with these voters goes when a change is called off: it
// stays with them, in the order of its row, as long as their number is that of
// the row. It must not have to go back: the replica that was there may be lost,
// which may be why the change was begun or called off.
func Rest(voters, row []uint64) []uint64 {
	at := make([]uint64, 0, len(row))
	for _, ids := range [...][]uint64{keep(row, voters), without(voters, row), without(row, voters)} {
		at = append(at, ids...)
	}
	return at[:len(row)]
}

// keep returns the ids of a that are in b.
func keep(a, b []uint64) []uint64 {
	return without(a, without(a, b))
}

// turn begins the next round, or ends the change when nothing is left to move.
func (d *Document) turn() {
	c := d.Change
	if c.Rounds == 0 && !d.holdsLeaving() {
		d.end()
		return
	}
	r, err := nextRound(d.Table, d.Meta, d.Members, d.Replicas)
	if err != nil || r.still() {
		// Validate makes sure that enough members stay, so that there is no error.
		d.end()
		return
	}
	c.Target, c.Meta, c.Since = r.Target, r.Meta, d.Epoch
	c.Rounds = max(c.Rounds-1, 0)
}

// holdsLeaving says whether a leaving member still has replicas.
func (d *Document) holdsLeaving() bool {
	held := d.holders()
	return slices.ContainsFunc(d.Members, func(m Member) bool { return m.State == Leaving && held[m.ID] })
}

// holders are the members that occur in the table or in the meta group.
func (d *Document) holders() map[uint64]bool {
	held := make(map[uint64]bool)
	for _, row := range d.Table {
		for _, id := range row {
			held[id] = true
		}
	}
	for _, id := range d.Meta {
		held[id] = true
	}
	return held
}

// end completes the change: who was to leave is no member any more.
func (d *Document) end() {
	d.Change = nil
	d.Members = slices.DeleteFunc(d.Members, func(m Member) bool { return m.State == Leaving })
	for i := range d.Members {
		d.Members[i].State = Active
	}
}

// endCanceled completes a change that was called off. Members that were to join
// and hold nothing are none. A member that was to leave stays, unless its JID
// now is that of a newcomer that holds replicas: such a one goes with the next
// change. A number of replicas that the change was to raise, and that no partition
// has reached, falls to the most that one has: the cluster would need as many
// members for ever.
func (d *Document) endCanceled(f faults) {
	d.Change = nil
	if !f.greedy {
		d.Replicas = min(d.Replicas, mostReplicas(d.Table))
	}
	held := d.holders()
	d.Members = slices.DeleteFunc(d.Members, func(m Member) bool { return m.State == Joining && !held[m.ID] })
	taken := make(map[string]bool)
	for _, m := range d.Members {
		if m.State != Leaving {
			taken[m.JID] = true
		}
	}
	for i := range d.Members {
		if m := &d.Members[i]; m.State != Leaving || !taken[m.JID] {
			m.State = Active
		}
	}
}

// mostReplicas is the length of the longest row.
func mostReplicas(table [][]uint64) int {
	most := 0
	for _, row := range table {
		most = max(most, len(row))
	}
	return most
}

// sameMembers compares without order; no id occurs twice in either.
func sameMembers(a, b []uint64) bool {
	return len(a) == len(b) && len(without(a, b)) == 0
}

// Remaining counts the replicas that the running change has still to make, by
// the member that gets them. It looks ahead as Advance will go.
func (d *Document) Remaining() map[uint64]int {
	left := make(map[uint64]int)
	c := d.Change
	if c == nil || c.Canceled {
		return left
	}
	add := func(moves []Move) {
		for _, m := range moves {
			if m.Add != 0 {
				left[m.Add]++
			}
		}
	}
	moves, _ := Diff(d.Table, c.Target)
	add(moves)
	table, meta := c.Target, c.Meta
	for range c.Rounds {
		r, err := nextRound(table, meta, d.Members, d.Replicas)
		if err != nil || r.still() {
			break
		}
		add(r.Moves)
		table, meta = r.Target, r.Meta
	}
	return left
}
