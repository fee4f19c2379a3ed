package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/xmppd/cluster/carrier"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const servers = 3

// cluster is servers in one process, between which there are real links. It is their Membership, too.
type cluster struct {
	t      *testing.T
	meshes [servers]*link.Mesh
	stores [servers]*replicated.Store
	mu     sync.Mutex
	list   []replicated.Server
}

func name(i int) string { return fmt.Sprintf("x%d", i+1) }

// Servers implements replicated.Membership.
func (c *cluster) Servers() []replicated.Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list
}

// memory is a directory in memory, where there is such a thing: this test is about links.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "rosterdb")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// open starts servers on the data in a directory, and waits until each has a copy of everything.
func open(t *testing.T, ca *clustertest.Authority, dir string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	var peers []link.Peer
	for i := range servers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, link.Peer{Name: name(i), Addr: l.Addr().String()})
		m := link.New(link.Config{
			Name: name(i), Cluster: "c", Incarnation: uint64(time.Now().UnixNano()), Certificate: ca.Sign(t, name(i)), Authority: ca.Pool,
			Silence: time.Minute, Log: slog.New(slog.DiscardHandler),
			Up:   func(peer string, _ uint64) { c.stores[i].ServerUp(peer) },
			Down: func(peer string) { c.stores[i].ServerDown(peer) },
		})
		s, err := replicated.Open(replicated.Options{
			Dir: filepath.Join(dir, name(i)), Domain: "example.net", Name: name(i), Transport: carrier.New(m), Membership: c,
			Urgent: byte(carrier.Urgent), Bulk: byte(carrier.Bulk), Follows: i > 0, Found: func() bool { return i == 0 },
			Partitions: 8, Tick: 20 * time.Millisecond, Patience: time.Minute, DiskReserve: 1, Segment: 4 << 20,
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Start(l)
		c.meshes[i], c.stores[i] = m, s
		c.mu.Lock()
		c.list = append(c.list, replicated.Server{Name: name(i), Store: s.ID()})
		c.mu.Unlock()
	}
	for _, m := range c.meshes {
		m.SetPeers(peers)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, s := range c.stores {
		if err := s.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		for st := s.Status(); len(st.Members) < servers || st.Replicas < servers || st.Changing; st = s.Status() {
			if ctx.Err() != nil {
				t.Fatalf("not of all servers in time: %+v", st)
			}
			time.Sleep(5 * time.Millisecond) // between looks
		}
	}
	return c
}

// close stops all servers, the one that the test works with first.
func (c *cluster) close(first int) (err error) {
	for i := range servers {
		err = errors.Join(err, c.stores[(first+i)%servers].Close())
	}
	for _, m := range c.meshes {
		m.Close()
	}
	return err
}

// whole is the store of one server; all stop with it.
type whole struct {
	store.Store
	c  *cluster
	at int
}

func (w whole) Close() error { return w.c.close(w.at) }

// TestSuite: what every store has to do holds for three servers with real links between them.
func TestSuite(t *testing.T) {
	const at = 1
	ca := clustertest.New(t)
	c := open(t, ca, memory(t))
	defer func() {
		if err := c.close(at); err != nil {
			t.Error(err)
		}
	}()
	for _, property := range storetest.Cases() {
		t.Run(property.Name, func(t *testing.T) {
			opened := func() store.Store { return storetest.Lend(c.stores[at]) }
			if property.Name == "Durable" || property.Name == "Close" { // they open their data several times
				t.Parallel()
				dir := memory(t)
				opened = func() store.Store {
					own := open(t, ca, dir)
					return whole{own.stores[at], own, at}
				}
			}
			if err := property.Run(t.Context(), opened); err != nil {
				t.Error(err)
			}
		})
	}
	for _, m := range c.meshes {
		for _, s := range m.Status() {
			if s.Frames == 0 || s.Handled == 0 {
				t.Errorf("nothing has gone by the link to %s: %+v", s.Name, s)
			}
		}
	}
}
