package cluster

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
)

// counted resolves names to loopback, and counts how often it is asked.
type counted struct{ asked atomic.Int64 }

func (c *counted) LookupHost(context.Context, string) ([]string, error) {
	c.asked.Add(1)
	return []string{"127.0.0.1"}, nil
}

// TestNobodyThere: that nobody answers at an address of Config.Join is told once, however often it is tried, and once more when
// nobody answers for another reason.
func TestNobodyThere(t *testing.T) {
	const nobody = "no server answers at an address of cluster.join"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	var cut atomic.Bool
	tries := new(counted)
	w := newWorld(t)
	a := w.node("a", func(c *Config) {
		c.Resolver = tries
		c.Cut = func(to string) bool { return to == addr && cut.Load() }
	}, "b.example:"+port)
	again := func() {
		t.Helper()
		seen := tries.asked.Load()
		eventually(t, "it is tried five times more", func() bool { return tries.asked.Load() >= seen+5 })
	}
	eventually(t, "it is told", func() bool { return w.logged(nobody) && w.logged("reason=\"connection refused\"") })
	again()
	if n := w.count(nobody); n != 1 {
		t.Errorf("told %d times", n)
	}
	cut.Store(true)
	eventually(t, "the other reason is told", func() bool { return w.logged("reason=\"the network is cut\"") })
	again()
	cut.Store(false)
	b := w.node("b", func(c *Config) { c.Listen = addr })
	whole(t, a, b)
	if n := w.count("the network is cut"); n != 1 {
		t.Errorf("told %d times", n)
	}
}
