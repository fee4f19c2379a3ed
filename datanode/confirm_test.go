package datanode

import (
	"slices"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// TestConfirmedReadTellsItsTerm: what is answered at once says which term has to be
// confirmed, and what goes the ordinary way says none.
func TestConfirmedReadTellsItsTerm(t *testing.T) {
	n, e, h := testNode(t)
	e.confirms = 2
	part := (&ring.Document{Partitions: 8}).Partition("root")
	c := n.newClient("app@localhost/x")
	c.holding = h.holdingOf(c.bare)
	for _, r := range []struct {
		read wire.Read
		term uint64
	}{
		{wire.Read{With: 2, Read: op.Read{Kind: op.Get, Root: "root", Path: "p"}}, 7},
		{wire.Read{With: 3, Read: op.Read{Kind: op.Get, Root: "root", Path: "p"}}, 0},
		{wire.Read{Read: op.Read{Kind: op.Get, Root: "root", Path: "p"}}, 0},
		{wire.Read{With: 2, Read: op.Read{Kind: op.Get, Root: "root", Path: "p", Stale: true}}, 0},
		{wire.Read{With: 2, Read: op.Read{Kind: op.List, Root: "root", FromStart: true}}, 0},
	} {
		r.read.Partition = part
		var got []readDone
		h.read(c, &r.read, func(d readDone) { got = append(got, d) })
		h.submit()
		if len(got) != 1 || got[0].term != r.term || got[0].res.Code != op.OK {
			t.Errorf("%+v: answers %+v", r.read, got)
		}
	}
	if c.inFlight.Load() != 0 || n.inFlight.Load() != 0 || n.fair.ops.Load() != 0 {
		t.Error("reads that were answered count as under way")
	}
}

// TestConfirmedReadsLeaveTheReadLoop: reads that take long do not hold up the rest.
func TestConfirmedReadsLeaveTheReadLoop(t *testing.T) {
	var d direct
	at := time.Now()
	if !d.allowed(at) {
		t.Fatal("the first is not allowed")
	}
	d.took(directMost/2, at)
	if !d.allowed(at) {
		t.Error("half of the time is used, and no more is allowed")
	}
	d.took(directMost/2, at)
	if d.allowed(at) {
		t.Error("more than its time is used")
	}
	d.spent = 0 // the next wake-up
	if d.allowed(at.Add(directPause / 2)) {
		t.Error("the disk is slow, and it is read from at once")
	}
	if !d.allowed(at.Add(directPause)) {
		t.Error("the pause does not end")
	}
}

// TestTermsAreForTheMemberAsked: another disk under the JID of a voter is not the
// voter. The planted mistake answers for whatever member it is taken.
func TestTermsAreForTheMemberAsked(t *testing.T) {
	n, e, h := testNode(t)
	e.terms = map[uint32]uint64{0: 5, 3: 9}
	app, stranger := n.newClient("app@localhost/x"), n.newClient("other@localhost/x")
	ask := func(c *client, member uint64) string {
		_, condition, _ := h.terms(c, wire.AppendTerms(nil, member, []uint64{3, 0, 8, 1 << 40}))
		return condition
	}
	if condition := ask(app, 1); condition != "" || !slices.Equal(h.numbers, []uint64{9, 5, 0, 0}) {
		t.Errorf("terms %v, %s", h.numbers, condition)
	}
	if condition := ask(app, 2); condition != "item-not-found" {
		t.Errorf("it answers for another member: %q", condition)
	}
	if condition := ask(stranger, 1); condition != "forbidden" {
		t.Errorf("it answers an account without a grant: %q", condition)
	}
	if n.faults.AnyMember = true; ask(app, 2) != "" {
		t.Error("the planted mistake changes nothing")
	}
}
