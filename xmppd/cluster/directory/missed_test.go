package directory

import (
	"slices"
	"testing"
)

// parted has two servers cut off from each other, and back, that both have sessions of an account, while its first owner
// sees both all the time; it returns what the two say of each other in the end.
func parted(t *testing.T, f Faults) (a, b Entry) {
	n := newNetwork(t, f, "a", "b", "c")
	account := accountOf(t, n.names(), []string{"c", "a"}, []string{"b", "c"}, []string{"c", "b"})
	n.servers["a"].Set(account, one("r", 1))
	n.servers["b"].Set(account, one("q", 1))
	n.run()
	n.servers["a"].Servers([]string{"c"})
	n.servers["b"].Servers([]string{"c"})
	n.queue = slices.DeleteFunc(n.queue, func(p packet) bool { return p.from != "c" && p.to != "c" })
	n.run()
	if o := n.servers["a"].Others(account); len(o) != 0 {
		t.Errorf("cut off, a says: %v", o)
	}
	n.tellServers()
	n.run()
	return n.servers["a"].Others(account), n.servers["b"].Others(account)
}

// TestPartedViews: two servers that were cut off from each other alone know again where the account is.
func TestPartedViews(t *testing.T) {
	if a, b := parted(t, Faults{}); a.Find("q") != "b" || b.Find("r") != "a" {
		t.Errorf("a: %v, b: %v", a, b)
	}
	if a, b := parted(t, Faults{ViewsLost: true}); a.Find("q") == "b" && b.Find("r") == "a" {
		t.Error("the planted mistake goes unnoticed")
	}
}
