package directory

import "testing"

// TestBest: priority first, then this server, then one that is near.
func TestBest(t *testing.T) {
	at := func(server string, prio int) Holding { return Holding{server, one("r", prio)} }
	west := func(server string) bool { return server == "c" || server == "d" }
	for _, x := range []struct {
		self string
		e    Entry
		want string
	}{
		{"d", Entry{at("a", 1), at("b", 1), at("c", 1)}, "c"},
		{"d", Entry{at("a", 1), at("c", 1), at("d", 1)}, "d"},
		{"d", Entry{at("a", 2), at("c", 1), at("d", 1)}, "a"},
		{"d", Entry{at("a", -1), at("c", -5)}, "c"},
		{"x", Entry{at("a", 1), at("b", 1)}, "a"},
		{"d", nil, ""},
	} {
		if got := x.e.Best(x.self, west); got != x.want {
			t.Errorf("%v for %s: %q, want %q", x.e, x.self, got, x.want)
		}
	}
}

// TestNearOwnerIsAsked: of the two owners the one in the asker's zone.
func TestNearOwnerIsAsked(t *testing.T) {
	n := newNetwork(t, Faults{}, "a", "b", "c", "d")
	account := accountOf(t, n.names(), []string{"a", "b"}, n.names(), []string{"a", "b"})
	n.servers["d"].Set(account, one("r", 1))
	n.run()
	n.servers["c"].cfg.Near = func(server string) bool { return server == "b" }
	var found Entry
	n.servers["c"].Ask(account, func(e Entry) { found = e })
	if len(n.queue) != 1 || n.queue[0].to != "b" {
		t.Errorf("asked: %v", n.queue)
	}
	n.run()
	if found.Find("r") != "d" {
		t.Errorf("found: %v", found)
	}
}
