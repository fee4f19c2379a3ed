package ring

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNoChange: the document has no running change.
var ErrNoChange = errors.New("no change is running")

// NextID is the id that the next new member gets; it was never given before.
func (d *Document) NextID() uint64 { return d.lastID() + 1 }

// Pause returns the document in which the running change rests: groups stay as
// they are; only joint configurations are left, and leaderships still move.
// Errors: ErrNoChange.
func (d *Document) Pause() (*Document, error) {
	return d.editChange(func(n *Document) { n.Change.Paused = true })
}

// Resume returns the document in which a paused change goes on. Errors:
// ErrNoChange.
func (d *Document) Resume() (*Document, error) {
	return d.editChange(func(n *Document) {
		// What was reported before the pause may not be so any more.
		n.Change.Paused, n.Change.Since = false, n.Epoch
	})
}

// Throttle returns the document in which each node may send so many bytes a
// second for the running change; 0 is the nodes' default. Errors: ErrNoChange.
func (d *Document) Throttle(rate int64) (*Document, error) {
	if rate < 0 {
		return nil, fmt.Errorf("a rate of %d bytes a second: give a positive one", rate)
	}
	return d.editChange(func(n *Document) { n.Change.Rate = rate })
}

// Cancel returns the document in which the running change is called off: groups
// stay with the replicas that they have, replicas that are still being filled are
// dropped, and then the change ends (see Advance). A number of replicas that it was
// to raise is that of the fullest partition then. Errors: ErrNoChange.
func (d *Document) Cancel() (*Document, error) {
	return d.editChange(func(n *Document) {
		c := n.Change
		for _, left := range d.Remaining() {
			c.Moves -= left // what was made is all that the change comes to
		}
		c.Moves = max(c.Moves, 0)
		c.Target, c.Meta, c.Rounds, c.Paused = n.Table, n.Meta, 0, false
		c.Canceled, c.Since = true, n.Epoch
	})
}

func (d *Document) editChange(edit func(n *Document)) (*Document, error) {
	if d.Change == nil {
		return nil, ErrNoChange
	}
	n := d.Next()
	edit(n)
	return n, nil
}

// NewMember appends m to members as one that joins, with an id that d never
// gave before.
func (d *Document) NewMember(members []Member, m Member) []Member {
	m.ID, m.State = d.NextID(), Joining
	for _, x := range members {
		m.ID = max(m.ID, x.ID+1)
	}
	return append(members, m)
}

// CheckEdit says why a person may not replace d by next: the table and the meta
// group change by Advance only, members keep their JID and store, ids are not
// given twice, and nobody who holds replicas, or is about to, is removed. Indexes and
// grants may not grow beyond what leaves room for the rest in a stanza.
func (d *Document) CheckEdit(next *Document) error {
	switch {
	case next.Cluster != d.Cluster:
		return fmt.Errorf("the document is of cluster %s, the ring of %s", next.Cluster, d.Cluster)
	case next.Epoch != d.Epoch+1:
		return fmt.Errorf("epoch %d cannot follow %d", next.Epoch, d.Epoch)
	case next.Partitions != d.Partitions:
		return fmt.Errorf("%d partitions instead of %d: the number is fixed", next.Partitions, d.Partitions)
	case next.LastID < d.lastID():
		return fmt.Errorf("last id %d, but %d was given before", next.LastID, d.lastID())
	case !slices.Equal(next.Meta, d.Meta) || !slices.EqualFunc(next.Table, d.Table, slices.Equal):
		return errors.New("an edit changes the goal, never what groups have: the table has to stay as it is")
	}
	if err := next.checkCatalogSize(d); err != nil {
		return err
	}
	for _, m := range next.Members {
		old, known := d.Member(m.ID)
		if known && (old.JID != m.JID || old.Store != m.Store) {
			return fmt.Errorf("member %d is %s with store %s: another one gets another id", m.ID, old.JID, old.Store)
		}
		if !known && m.ID <= d.lastID() {
			return fmt.Errorf("the id %d was given before", m.ID)
		}
	}
	for _, m := range d.Members {
		if _, stays := next.Member(m.ID); !stays {
			return fmt.Errorf("member %d is missing: a member leaves by a change, which moves away what it holds", m.ID)
		}
	}
	return nil
}
