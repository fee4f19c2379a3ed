package admin

import (
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

func everybody(ring.Member) string { return "" }

// TestScrubbing: what the leaders tell decides what is begun, when again, and how
// it ends.
func TestScrubbing(t *testing.T) {
	d, _ := growing(t)
	told := func(r ...adminxml.Scrubbed) map[uint64]adminxml.Scrub {
		return map[uint64]adminxml.Scrub{1: {Results: r, Compared: 7}, 2: {Damaged: 3, Repaired: 3}}
	}
	old := adminxml.Scrubbed{Group: 5, Index: 10, Voters: 3, Told: 3}
	s := newScrubbing(d, []uint32{0, 1, 2, 3, 4, 5})
	if begin := s.look(nil, everybody); begin != nil {
		t.Fatalf("before anybody answers %v are begun", begin)
	}
	if begin := s.look(told(old), everybody); !slices.Equal(begin, []uint32{0, 1, 2, 3}) {
		t.Fatalf("at first %v are begun", begin)
	}
	equal := func(g uint32) adminxml.Scrubbed { return adminxml.Scrubbed{Group: g, Index: 20, Voters: 3, Told: 3} }
	if begin := s.look(told(old, equal(0), equal(1)), everybody); !slices.Equal(begin, []uint32{4, 5}) {
		t.Fatalf("behind them %v are begun", begin)
	}
	// What an earlier scrub told of 5 does not count; 2 has a wrong replica; of 3 two
	// have told, and the third reads; 4 has no majority.
	state := told(old, adminxml.Scrubbed{Group: 2, Index: 20, Voters: 3, Told: 3, Wrong: []uint64{2}},
		adminxml.Scrubbed{Group: 3, Index: 20, Voters: 3, Told: 2}, adminxml.Scrubbed{Group: 4, Index: 20, Voters: 3, Told: 3, Undecided: true})
	state[2] = adminxml.Scrub{Damaged: 4, Repaired: 3, Reading: []uint32{3}, Mending: []uint32{2}}
	for range 3 * scrubIdle {
		if begin := s.look(state, everybody); begin != nil && !slices.Equal(begin, []uint32{5}) {
			t.Fatalf("%v are begun again though they are read or mended", begin)
		}
	}
	r := s.report()
	if r.Done || r.Compared != 2 || r.Nodes[1].Mismatches != 1 || r.Nodes[1].Damaged != 1 || r.Nodes[1].Repaired != 0 || !slices.Equal(r.Undecided, []uint32{4}) {
		t.Fatalf("%+v", r)
	}
	// Mended: it is compared again.
	state[2] = adminxml.Scrub{Damaged: 4, Repaired: 4, Reading: []uint32{3}}
	var begun []uint32
	for range scrubIdle + 1 {
		begun = append(begun, s.look(state, everybody)...)
	}
	if !slices.Contains(begun, 2) || slices.Contains(begun, 3) {
		t.Fatalf("after the repair %v are begun", begun)
	}
	at := func(g uint32) adminxml.Scrubbed { return adminxml.Scrubbed{Group: g, Index: 30, Voters: 3, Told: 3} }
	s.look(told(at(2), at(3), at(5)), everybody)
	if r = s.report(); !r.Done || r.Compared != 5 || r.Sound() || r.Nodes[1].Mismatches != 1 {
		t.Errorf("at the end %+v", r)
	}
}

// TestScrubbingWithoutAll: a member that is down is named at once; a group without
// an answer is given up after some tries.
func TestScrubbingWithoutAll(t *testing.T) {
	d, _ := growing(t)
	s := newScrubbing(d, []uint32{0, 1})
	some := func(m ring.Member) string {
		if m.JID == "dn2@d/store" {
			return "start dn2"
		}
		return ""
	}
	state := map[uint64]adminxml.Scrub{1: {}}
	s.look(state, some)
	if r := s.report(); len(r.Missing) != 1 || r.Missing[0] != (Missing{"dn2", "start dn2", 2}) {
		t.Fatalf("at first %+v are told to be missing", r.Missing)
	}
	state[1] = adminxml.Scrub{Results: []adminxml.Scrubbed{{Group: 0, Index: 20, Voters: 3, Told: 2}}}
	s.look(state, some)
	if r := s.report(); r.Done || len(r.Unfinished) != 1 || r.Unfinished[0].Why != "2 of 3 replicas are equal; start dn2" {
		t.Fatalf("%+v", r)
	}
	for range scrubIdle * (scrubTries + 1) {
		s.look(state, some)
	}
	if r := s.report(); !r.Done || r.Sound() || len(r.Unfinished) != 2 || r.Unfinished[1].Why != "no leader answers for it; start dn2" {
		t.Errorf("%+v", r)
	}
}

// TestScrubbingWithoutMajority: what nobody can lead is not waited for.
func TestScrubbingWithoutMajority(t *testing.T) {
	d, _ := growing(t)
	d.Change = nil
	s := newScrubbing(d, []uint32{0})
	only := func(m ring.Member) string {
		if m.ID == 1 {
			return ""
		}
		return "start it"
	}
	state := map[uint64]adminxml.Scrub{1: {}}
	s.look(state, only)
	s.look(state, only)
	if r := s.report(); !r.Done || r.Sound() || r.Unfinished[0].Why != "no majority of its replicas is there; start it, start it" {
		t.Errorf("%+v", r)
	}
}

// TestLacking: a member that is down, and one whose disk is another's, are told by
// presence alone, with what to do.
func TestLacking(t *testing.T) {
	d, _ := growing(t)
	m := d.Members[1]
	for _, c := range []struct {
		view NodeView
		want string
	}{
		{NodeView{}, "start dn2"},
		{NodeView{Online: true, Health: wire.Health{State: "ok", Store: m.Store}}, ""},
		{NodeView{Online: true, Health: wire.Health{State: wire.StateStranger}}, "dn2 is a stranger: `ringctl replace dn2 dn2`, or put its old disk back"},
		{NodeView{Online: true, Health: wire.Health{State: wire.StateMixed, Store: m.Store}}, "dn2 cannot read what other data nodes send: run one version on all"},
		{NodeView{Online: true, Health: wire.Health{State: "ok", Store: m.Store + "x"}}, "dn2 is a stranger: `ringctl replace dn2 dn2`, or put its old disk back"},
	} {
		n := newNodes()
		*n.at(m.JID) = c.view
		if got := n.incomparable(d, m); got != c.want {
			t.Errorf("%+v: %q", c.view, got)
		}
	}
}
