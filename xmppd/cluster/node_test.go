package cluster

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
)

// TestMain looks for goroutines that are left. memberlist.Shutdown does not wait for a probe under way.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probe"))
}

// world is where the nodes of a test live.
type world struct {
	*testing.T
	ca *clustertest.Authority

	mu    sync.Mutex
	log   bytes.Buffer
	nodes []*Node
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, ca: clustertest.New(t)}
	t.Cleanup(func() { // all at once: each says good-bye
		var wg sync.WaitGroup
		for _, n := range w.nodes {
			wg.Go(func() { w.close(n) })
		}
		wg.Wait()
	})
	return w
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged(s string) bool { return w.count(s) > 0 }

// count is how often the log has something.
func (w *world) count(s string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.log.String(), s)
}

// node starts a server that looks for others at some addresses.
func (w *world) node(name string, change func(*Config), join ...string) *Node {
	w.Helper()
	cfg := Config{
		Name: name, Cluster: "c", Listen: "127.0.0.1:0", Join: join, Key: []byte("0123456789abcdef"),
		Certificate: w.ca.Sign(w, name), Authority: w.ca.Pool, Rejoin: 100 * time.Millisecond,
		Links: link.Config{Silence: time.Minute},
		Log:   slog.New(slog.NewTextHandler(io.MultiWriter(w, w.Output()), nil)),
	}
	if change != nil {
		change(&cfg)
	}
	n, err := New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	if err := n.Start(w.Context()); err != nil {
		w.Fatal(err)
	}
	return n
}

func (w *world) close(n *Node) {
	w.Helper()
	if err := n.Close(); err != nil {
		w.Error(err)
	}
}

// quick makes a node notice within moments that another one is gone.
func quick(c *Config) {
	c.Links.Silence = time.Second
	c.faults.quick = func(m *memberlist.Config) {
		m.ProbeInterval, m.ProbeTimeout, m.SuspicionMult, m.SuspicionMaxTimeoutMult = 100*time.Millisecond, 90*time.Millisecond, 2, 1
		m.TCPTimeout = time.Second
	}
}

// patient makes a node take nobody for gone on a machine that has too much to do.
func patient(c *Config) {
	c.faults.quick = func(m *memberlist.Config) { m.ProbeInterval, m.ProbeTimeout = 10*time.Second, 9*time.Second }
}

// crash ends a node without a word to the others.
func (n *Node) crash() {
	n.stop()
	n.wg.Wait()
	_ = n.endGossip()
	n.gossip = nil
	n.mesh.Close()
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) { // between looks
		if time.Now().After(end) {
			t.Fatalf("not in three minutes: %s", what)
		}
	}
}

func names(n *Node) (out []string) {
	for _, m := range n.Members() {
		out = append(out, m.Name)
	}
	return out
}

// whole waits until nodes know one another, nobody else, and are connected.
func whole(t testing.TB, nodes ...*Node) {
	t.Helper()
	var want []string
	for _, n := range nodes {
		want = append(want, n.cfg.Name)
	}
	slices.Sort(want)
	for _, n := range nodes {
		eventually(t, n.cfg.Name+" knows "+fmt.Sprint(want), func() bool {
			return slices.Equal(names(n), want) && len(n.Mesh().Connected()) == len(nodes)-1
		})
	}
}

func TestOneSeedIsEnough(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", nil)
	b := w.node("b", func(c *Config) { c.Zone = "z1" }, a.Addr())
	c := w.node("c", nil, a.Addr(), a.Addr()) // twice is no harm
	whole(t, a, b, c)
	for _, m := range c.Members() {
		if (m.Name == "b") != (m.Zone == "z1") || m.Major != link.Major || m.State != Joining {
			t.Errorf("%+v", m)
		}
	}
	b.Tell(func(s *State, l *Load) { *s, l.Sessions = Up, 7 })
	for _, n := range []*Node{a, c} {
		eventually(t, "the news arrive", func() bool { return n.Members()[1].State == Up && n.Members()[1].Load.Sessions == 7 })
	}
}

// TestComesBack: a server that was started again is another one, wherever it listens.
func TestComesBack(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", quick)
	b := w.node("b", quick, a.Addr())
	whole(t, a, b)
	before := b.Self().Incarnation
	b.crash()
	b2 := w.node("b", quick, a.Addr())
	whole(t, a, b2)
	eventually(t, "a knows the new incarnation", func() bool {
		m := a.Members()
		return len(m) == 2 && m[1].Incarnation == b2.Self().Incarnation
	})
	if b2.Self().Incarnation == before {
		t.Error("both have the same incarnation")
	}
}

func TestCrashIsNoticed(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", quick)
	b := w.node("b", quick, a.Addr())
	c := w.node("c", quick, a.Addr())
	whole(t, a, b, c)
	b.crash()
	whole(t, a, c)
}

// TestTellAtTheEnd: who has news while the gossip ends does not wait for ever.
func TestTellAtTheEnd(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", nil)
	b := w.node("b", nil, a.Addr())
	whole(t, a, b)
	a.stop()
	a.wg.Wait()
	if err := a.endGossip(); err != nil {
		t.Error(err)
	}
	a.Tell(func(_ *State, l *Load) { l.Sessions = 7 })
	a.gossip = nil
	a.mesh.Close()
}

// TestPartitionHeals: two sides that have given each other up find together without anybody's help.
func TestPartitionHeals(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	far := make(map[string]bool)
	side := func(mine bool) func(*Config) {
		return func(c *Config) {
			quick(c)
			c.Cut = func(addr string) bool {
				mu.Lock()
				defer mu.Unlock()
				return len(far) > 0 && far[addr] == mine
			}
		}
	}
	a := w.node("a", side(true))
	b := w.node("b", side(true), a.Addr())
	c := w.node("c", side(false), a.Addr())
	whole(t, a, b, c)
	mu.Lock()
	far[c.Addr()] = true
	mu.Unlock()
	whole(t, a, b)
	whole(t, c)
	mu.Lock()
	clear(far)
	mu.Unlock()
	whole(t, a, b, c)
}

func TestManyInOneProcess(t *testing.T) {
	w := newWorld(t)
	nodes := []*Node{w.node("s00", patient)}
	for i := 1; i < 20; i++ {
		nodes = append(nodes, w.node(fmt.Sprintf("s%02d", i), patient, nodes[0].Addr()))
	}
	whole(t, nodes...)
}

// coming lets servers come and go, and returns those that stay.
func coming(t *testing.T, times int, f faults) (w *world, stay []*Node) {
	w = newWorld(t)
	f.quick = func(m *memberlist.Config) { m.GossipInterval = 20 * time.Millisecond } // a good-bye waits for it
	change := func(c *Config) { c.faults = f }
	a := w.node("a", change)
	b := w.node("b", change, a.Addr())
	whole(t, a, b)
	for i := range times {
		x := w.node(fmt.Sprintf("x%d", i), change, a.Addr())
		eventually(t, "it is in", func() bool { return len(x.Mesh().Connected()) >= 2 })
		w.close(x)
	}
	return w, []*Node{a, b}
}

func TestComingAndGoingLeavesNothing(t *testing.T) {
	_, stay := coming(t, 100, faults{})
	whole(t, stay...)
	for _, n := range stay {
		eventually(t, "no trace is left", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			listed := slices.DeleteFunc(n.mesh.Status(), func(s link.Status) bool { return !s.Listed }) // of others the counters are left
			return len(n.members) == 1 && len(n.known) == 1 && len(listed) == 1
		})
	}
}

func TestNoticesMembersThatStay(t *testing.T) {
	_, stay := coming(t, 2, faults{stays: true})
	eventually(t, "all that were there are members", func() bool { return len(stay[0].Members()) == 4 })
}

func TestStrangers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world, *Config)
		want   string
		reason string // that has to be counted; empty: any
	}{
		"another key":     {func(_ *world, c *Config) { c.Key = []byte("fedcba9876543210") }, "another cluster.key_file", ""},
		"no key":          {func(_ *world, c *Config) { c.Key = nil }, "another cluster.key_file", ""},
		"another cluster": {func(_ *world, c *Config) { c.Cluster = "d" }, "another cluster", ""},
		"another authority": {func(w *world, c *Config) {
			other := clustertest.New(w)
			c.Certificate, c.Authority = other.Sign(w, "x"), other.Pool
		}, "not of the authority of this cluster", "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			w, reg := newWorld(t), prometheus.NewRegistry()
			a := w.node("a", func(cfg *Config) { cfg.Registerer = reg })
			b := w.node("b", nil, a.Addr())
			whole(t, a, b)
			x := w.node("x", func(cfg *Config) { c.change(w, cfg) }, a.Addr())
			eventually(t, "the log tells", func() bool { return w.logged(c.want) })
			if c.reason != "" {
				eventually(t, "it is counted as "+c.reason, func() bool { return refused(t, reg, c.reason) > 0 })
			}
			if got := x.Mesh().Connected(); len(got) > 0 {
				t.Errorf("connected: %v", got)
			}
			if got := a.Mesh().Connected(); !slices.Equal(got, []string{"b"}) {
				t.Errorf("a is connected to %v", got)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "A", "a b", "-a", "a.", strings.Repeat("a", 64)} {
		if _, err := New(Config{Name: name, Log: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
