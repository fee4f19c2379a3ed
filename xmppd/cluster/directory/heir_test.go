package directory

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// accountOf finds an account whose owners are these, first the first one, among all servers and, in the same
// way, among those that are left.
func accountOf(t *testing.T, all, owners, left, then []string) string {
	t.Helper()
	before, after := newShards(all), newShards(left)
	for i := range 100_000 {
		if a := fmt.Sprint(i); slices.Equal(before.of(a), owners) && slices.Equal(after.of(a), then) {
			return a
		}
	}
	t.Fatal("no account has such owners")
	return ""
}

// late has a server learn later than another one that a third is gone, and returns where it knows a session then
// that was made between.
func late(t *testing.T, f Faults) Entry {
	n := newNetwork(t, f, "a", "b", "c", "d")
	account := accountOf(t, n.names(), []string{"d", "a"}, []string{"a", "b", "c"}, []string{"a", "b"})
	delete(n.servers, "d")
	n.servers["c"].Servers([]string{"a", "b"})
	n.servers["a"].Servers([]string{"b", "c"})
	n.servers["c"].Set(account, one("r", 1))
	n.run() // b takes itself for no owner yet
	n.servers["b"].Servers([]string{"a", "c"})
	n.run()
	n.now = n.now.Add(time.Minute)
	e, _ := n.servers["b"].Lookup(account, "")
	return e
}

func TestWhoLearnsLateIsTold(t *testing.T) {
	if e := late(t, Faults{}); e.Find("r") != "c" {
		t.Errorf("the new owner knows %v", e)
	}
	if e := late(t, Faults{AskNobody: true}); e.Find("r") == "c" {
		t.Error("it knows without having asked")
	}
}

// inherited has the first owner of an account die before it has told one server of the session at another, and
// returns what that one knows. The new first owner learns of it last.
func inherited(t *testing.T, f Faults, resource string) (n *network, view Entry) {
	n = newNetwork(t, f, "a", "b", "c", "d")
	account := accountOf(t, n.names(), []string{"a", "b"}, []string{"b", "c", "d"}, []string{"b", "c"})
	n.servers["c"].Set(account, one("q", 1))
	n.run()
	n.lost = nil
	n.servers["d"].Set(account, []Session{{resource, 1, 2}})
	n.pass(2) // to both owners
	delete(n.servers, "a")
	n.queue = nil
	n.servers["c"].Servers([]string{"b", "d"})
	n.servers["d"].Servers([]string{"b", "c"})
	n.run()
	n.servers["b"].Servers([]string{"c", "d"})
	n.run()
	return n, n.servers["c"].Others(account)
}

func TestHeirTellsOfSessions(t *testing.T) {
	if _, view := inherited(t, Faults{}, "r"); view.Find("r") != "d" {
		t.Errorf("it knows %v", view)
	}
	if _, view := inherited(t, Faults{KeepQuiet: true}, "r"); view.Find("r") == "d" {
		t.Error("it knows without having been told")
	}
}

func TestHeirSettlesConflicts(t *testing.T) {
	if n, _ := inherited(t, Faults{}, "q"); len(n.lost) != 1 {
		t.Errorf("lost: %v", n.lost)
	}
	if n, _ := inherited(t, Faults{KeepQuiet: true}, "q"); len(n.lost) != 0 {
		t.Errorf("lost: %v", n.lost)
	}
}
