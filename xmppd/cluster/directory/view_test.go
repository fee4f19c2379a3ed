package directory

import (
	"slices"
	"testing"
)

// apartFrom cuts a link of two servers that see all others, and lets what follows happen.
func (n *network) apartFrom(a, b string) {
	without := func(s string) []string {
		return slices.DeleteFunc(n.names(), func(x string) bool { return x == a || x == b || x == s })
	}
	n.servers[a].Servers(without(a))
	n.servers[b].Servers(without(b))
	n.queue = slices.DeleteFunc(n.queue, func(p packet) bool { return p.from == a && p.to == b || p.from == b && p.to == a })
	n.run()
}

// twoOwners has the owners of an account be cut off from each other, so that each takes itself for the first one; it
// returns what is known by the server that saw both when all is well again.
func twoOwners(t *testing.T, f Faults) (during, after Entry) {
	n := newNetwork(t, f, "a", "b", "c")
	account := accountOf(t, n.names(), []string{"b", "c"}, []string{"a", "c"}, []string{"c", "a"})
	n.servers["a"].Set(account, one("q", 1))
	n.servers["b"].Set(account, one("r", 1))
	n.run()
	n.apartFrom("b", "c")
	during = n.servers["a"].Others(account)
	n.tellServers()
	n.run()
	return during, n.servers["a"].Others(account)
}

func TestOnlyFirstOwnerIsBelieved(t *testing.T) {
	if during, after := twoOwners(t, Faults{}); during.Find("r") != "b" || after.Find("r") != "b" {
		t.Errorf("it knows %v, and then %v", during, after)
	}
	if during, after := twoOwners(t, Faults{AnyView: true}); during.Find("r") == "b" || after.Find("r") == "b" {
		t.Error("the planted mistake goes unnoticed")
	}
}

// early has the second owner learn before all others that the first one is gone, which had not told one server of the
// session at another; it returns what that one knows.
func early(t *testing.T, f Faults) Entry {
	n := newNetwork(t, f, "a", "b", "c", "d")
	account := accountOf(t, n.names(), []string{"a", "b"}, []string{"b", "c", "d"}, []string{"b", "c"})
	n.servers["c"].Set(account, one("q", 1))
	n.run()
	n.servers["d"].Set(account, one("r", 1))
	n.pass(2) // to both owners
	delete(n.servers, "a")
	n.queue = nil
	n.servers["b"].Servers([]string{"c", "d"})
	n.run() // c takes a for the first owner yet
	n.servers["c"].Servers([]string{"b", "d"})
	n.servers["d"].Servers([]string{"b", "c"})
	n.run()
	return n.servers["c"].Others(account)
}

func TestNewFirstOwnerIsTold(t *testing.T) {
	if e := early(t, Faults{}); e.Find("r") != "d" {
		t.Errorf("it knows %v", e)
	}
	if e := early(t, Faults{FirstUntold: true}); e.Find("r") == "d" {
		t.Error("it knows without having told the owner again")
	}
}

// left has a session end while its account's first owner is cut off from the server that has another one; it returns
// what that server knows when all is well again.
func left(t *testing.T, f Faults) Entry {
	n := newNetwork(t, f, "a", "b", "c", "d")
	account := accountOf(t, n.names(), []string{"a", "b"}, []string{"b", "c", "d"}, []string{"b", "d"})
	n.servers["c"].Set(account, one("q", 1))
	n.servers["d"].Set(account, one("r", 1))
	n.run()
	n.apartFrom("a", "c")
	n.servers["d"].Set(account, nil)
	n.run()
	n.tellServers()
	n.run()
	return n.servers["c"].Others(account)
}

func TestWhoIsAloneIsTold(t *testing.T) {
	if e := left(t, Faults{}); len(e) != 0 {
		t.Errorf("it knows %v", e)
	}
	if e := left(t, Faults{NothingNew: true}); len(e) == 0 {
		t.Error("it knows without having been told")
	}
}

// forgotten has a server not know of a session elsewhere, whatever the reason, and returns where it finds that, and
// what it knows then.
func forgotten(t *testing.T, f Faults) (found, view Entry) {
	n := newNetwork(t, f, "a", "b", "c")
	account := accountOf(t, n.names(), []string{"b", "c"}, n.names(), []string{"b", "c"})
	d := n.servers["a"]
	d.Set(account, one("q", 1))
	n.servers["b"].Set(account, one("r", 1))
	n.run()
	if _, known := d.Lookup(account, "r"); !known {
		t.Error("what it knows has to be asked for")
	}
	delete(d.views, account)
	for range 3 {
		e, known := d.Lookup(account, "r")
		if known {
			return e, d.Others(account)
		}
		d.Ask(account, func(e Entry) { found = e })
	}
	if len(n.queue) != 2 {
		t.Errorf("%d questions to two owners", len(n.queue))
	}
	n.run()
	if !d.Idle() || len(d.doubted) != 0 {
		t.Error("it still asks")
	}
	return found, d.Others(account)
}

// TestViewIsDoubted: where a resource is missed that an account with sessions here may have elsewhere, the owners are
// asked once, and believed.
func TestViewIsDoubted(t *testing.T) {
	if found, view := forgotten(t, Faults{}); found.Find("r") != "b" || found.Find("q") != "a" || view.Find("r") != "b" {
		t.Errorf("found: %v; it knows %v", found, view)
	}
	if found, view := forgotten(t, Faults{NoDoubt: true}); found.Find("r") == "b" || view.Find("r") == "b" {
		t.Error("the planted mistake goes unnoticed")
	}
}

// demoted has a session end whose server takes another one for an owner, while the one before takes itself for one all the
// time; it returns where that one knows the session in the end.
func demoted(t *testing.T, f Faults) Entry {
	n := newNetwork(t, f, "a", "b", "c", "d")
	account := accountOf(t, n.names(), []string{"a", "b"}, []string{"b", "c", "d"}, []string{"b", "c"})
	n.servers["c"].Servers([]string{"b", "d"}) // d sees no a yet, and tells c instead
	n.servers["d"].Servers([]string{"b", "c"})
	n.run()
	n.servers["d"].Set(account, one("r", 1))
	n.run()
	n.tellServers() // c takes itself for an owner as long as it does not see a
	n.servers["c"].Servers([]string{"b", "d"})
	n.run()
	n.servers["d"].Set(account, nil)
	n.run()
	return n.servers["c"].shard[account]
}

func TestWhoWasAnOwnerIsTold(t *testing.T) {
	if e := demoted(t, Faults{}); len(e) != 0 {
		t.Errorf("it knows %v", e)
	}
	if e := demoted(t, Faults{OldUntold: true}); e.Find("r") != "d" {
		t.Error("it knows without having been told")
	}
}
