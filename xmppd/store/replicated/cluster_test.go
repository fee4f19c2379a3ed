package replicated

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network carries payloads between the servers of a test, in one process.
type network struct {
	mu    sync.RWMutex
	takes map[string]map[byte]func(from string, payload []byte)
	cut   map[string]bool
	loss  float64       // of payloads
	delay time.Duration // of each payload, which may overtake others
	timer sync.WaitGroup
	sent  func(from, to string, payload []byte) bool // false: it is lost
}

type port struct {
	net  *network
	name string
}

func (p port) Handle(channel byte, take func(from string, payload []byte)) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.net.takes[p.name] == nil {
		p.net.takes[p.name] = make(map[byte]func(string, []byte))
	}
	p.net.takes[p.name][channel] = take
}

func (p port) Send(to string, channel byte, payload []byte) {
	if len(payload) > MaxPayload {
		panic(fmt.Sprintf("a payload of %d bytes", len(payload)))
	}
	n := p.net
	n.mu.RLock()
	lost := n.cut[to] || n.cut[p.name] || rand.Float64() < n.loss || n.sent != nil && !n.sent(p.name, to, payload)
	delay := n.delay
	n.mu.RUnlock()
	deliver := func() {
		n.mu.RLock()
		take := n.takes[to][channel]
		n.mu.RUnlock()
		if take != nil {
			take(p.name, payload) // which may send
		}
	}
	switch {
	case lost:
	case delay == 0:
		deliver()
	default:
		n.timer.Add(1)
		time.AfterFunc(delay, func() { defer n.timer.Done(); deliver() })
	}
}

func (n *network) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// cluster is servers in one process. It is their Membership, too.
type cluster struct {
	t      testing.TB
	dir    string
	net    *network
	tune   func(*Options)
	mu     sync.Mutex
	stores map[string]*Store
	gone   map[string]bool // leaving, by name
}

func newCluster(t testing.TB, dir string, tune func(*Options)) *cluster {
	return &cluster{
		t: t, dir: dir, tune: tune, stores: make(map[string]*Store), gone: make(map[string]bool),
		net: &network{takes: make(map[string]map[byte]func(string, []byte)), cut: make(map[string]bool)},
	}
}

// memory is a directory in memory, where there is such a thing: these tests are about servers, and wait
// for disks most of the time.
func memory(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "rosterdb")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func name(i int) string { return fmt.Sprintf("x%d", i) }

// Servers implements Membership.
func (c *cluster) Servers() (list []Server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, s := range c.stores {
		list = append(list, Server{Name: n, Store: s.ID(), Leaving: c.gone[n]})
	}
	for n := range c.gone {
		if c.stores[n] == nil {
			list = append(list, Server{Name: n, Leaving: true})
		}
	}
	return list
}

func (c *cluster) start(i int) *Store {
	c.t.Helper()
	opt := Options{
		Dir: filepath.Join(c.dir, name(i)), Domain: "example.net", Name: name(i), Transport: port{c.net, name(i)}, Membership: c,
		Partitions: 8, Tick: 20 * time.Millisecond, Patience: time.Minute, DiskReserve: 1, Segment: 4 << 20,
	}
	if os.Getenv("ROSTERDB_TEST_LOG") != "" {
		opt.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("server", i)
	}
	if c.tune != nil {
		c.tune(&opt)
	}
	s, err := Open(opt)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stores[name(i)] = s
	for _, other := range c.stores {
		other.wake()
	}
	return s
}

func (c *cluster) store(i int) *Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stores[name(i)]
}

func (c *cluster) stop(i int) {
	c.t.Helper()
	s := c.store(i)
	if s == nil {
		return
	}
	if err := s.Close(); err != nil {
		c.t.Error(err)
	}
	c.mu.Lock()
	delete(c.stores, name(i))
	c.mu.Unlock()
}

// leave has a server leave, as an operator would.
func (c *cluster) leave(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone[name(i)] = true
	for _, s := range c.stores {
		s.wake()
	}
}

// close stops all servers, the ones that the others may wait for last.
func (c *cluster) close() {
	c.mu.Lock()
	var names []string
	for n := range c.stores {
		names = append(names, n)
	}
	c.mu.Unlock()
	slices.Sort(names)
	for _, n := range names {
		var i int
		fmt.Sscanf(n, "x%d", &i)
		c.stop(i)
	}
	c.net.timer.Wait()
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(10 * time.Millisecond) // the pause of a poll
	}
}

// settled waits until the ring is of so many servers that are all active, at the servers that run.
func (c *cluster) settled(members int) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("the ring has %d members", members), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range c.stores {
			doc := s.ring.Load()
			if !s.left.Load() && (doc == nil || doc.Change != nil || len(doc.Members) != members || doc.Replicas != min(members, copies)) {
				return false
			}
		}
		return true
	})
}

// found starts servers of a cluster that all have been there from the beginning, which takes less
// time than to have them join; or starts them again.
func (c *cluster) found(servers int) {
	c.t.Helper()
	var members []ring.Member
	for i := range servers {
		s := c.start(i + 1)
		members = append(members, ring.Member{JID: jidOf(name(i + 1)), Store: s.ID()})
	}
	doc, err := ring.New(members, ring.Options{Cluster: "c0ffee00-0000-4000-8000-000000000001", Partitions: 8})
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range servers {
		if s := c.store(i + 1); s.ring.Load() == nil {
			if err := s.node.Reconcile(doc); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	c.settled(servers)
	c.waitReady()
}

// grow starts servers, one after the other, and waits until they are members.
func (c *cluster) grow(servers int) {
	c.t.Helper()
	tune := c.tune
	c.tune = func(o *Options) {
		o.Found = func() bool { return o.Name == name(1) }
		if tune != nil {
			tune(o)
		}
	}
	for i := range servers {
		c.start(i + 1)
	}
	c.settled(servers)
	c.waitReady()
}

func (c *cluster) waitReady() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stores {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		if err := s.Ready(ctx); err != nil {
			c.t.Fatal(err)
		}
		cancel()
	}
}
