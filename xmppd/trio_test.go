package xmppd_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/bolt"
	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
)

// trio is three servers that serve the domain together.
type trio struct {
	servers []*xmppd.Server
	log     *logs
	closed  map[*xmppd.Server]bool
}

type trioOptions struct {
	cfg func(*xmppd.Config)
	own xmppd.Together // of each
	// perServer changes what one server has of its own.
	perServer func(name string, own *xmppd.Together)
	n         int // 0: three
	// shared: they keep what they keep in one store on one disk, not each in replicas of its own.
	shared bool
}

// startTrio runs the servers, with the accounts of startServer.
func startTrio(t *testing.T, o trioOptions) *trio {
	t.Helper()
	if o.n == 0 {
		o.n = 3
	}
	var disk store.Store
	if o.shared {
		disk = sharedDisk(t)
	}
	x, ca := &trio{log: new(logs), closed: make(map[*xmppd.Server]bool)}, clustertest.New(t)
	t.Cleanup(func() { x.close(t, x.servers...) })
	for i := range o.n {
		x.add(t, o, ca, disk, fmt.Sprintf("x%d", i+1))
	}
	for name, group := range map[string]string{"alice": "", "bob": "", "carol": "", "dn1": "Data nodes", "dn2": "Data nodes", "app": "Applications"} {
		if err := x.servers[0].Accounts().Add(t.Context(), name, password, group); err != nil {
			t.Fatal(err)
		}
	}
	x.quiet(t)
	return x
}

func sharedDisk(t *testing.T) store.Store {
	t.Helper()
	disk, err := bolt.Open(t.TempDir(), domain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// memory is a directory in memory, where there is such a thing: servers that replicate would wait for the disk most
// of the time.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "rosterdb")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// quick are replicas for tests: small, and soon to be had.
func quick(o *replicated.Options) {
	o.Partitions, o.Tick, o.Patience, o.DiskReserve, o.Segment = 8, 20*time.Millisecond, time.Minute, 1, 1<<20
}

// add starts one more server.
func (x *trio) add(t *testing.T, o trioOptions, ca *clustertest.Authority, disk store.Store, name string) *xmppd.Server {
	t.Helper()
	var join []string
	if len(x.servers) > 0 {
		join = []string{x.servers[0].Node().Addr()}
	}
	cfg := xmppd.Defaults()
	cfg.IO = *ioStrategy
	cfg.Domain, cfg.Data = domain, memory(t)
	cfg.ListenC2S, cfg.ListenTLS, cfg.ListenHTTP = "127.0.0.1:0", "", ""
	cfg.InsecurePlaintext = true
	cfg.Cluster = xmppd.ClusterOf(t, ca, name, join...)
	if o.cfg != nil {
		o.cfg(&cfg)
	}
	own := o.own
	own.Records, own.Replicas = disk, quick
	if o.perServer != nil {
		o.perServer(name, &own)
	}
	if own.Links.Silence == 0 {
		own.Links.Silence = time.Minute
	}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(x.log, t.Output()), nil))
	s, err := xmppd.StartTogether(t.Context(), cfg, xmppd.Options{Log: log}, own)
	if err != nil {
		t.Fatal(err)
	}
	x.servers = append(x.servers, s)
	x.whole(t)
	return s
}

// close stops servers, all at once, unless they are stopped already.
func (x *trio) close(t *testing.T, servers ...*xmppd.Server) {
	var wg sync.WaitGroup
	for _, s := range servers {
		if x.closed[s] {
			continue
		}
		x.closed[s] = true
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// whole waits until all servers are connected.
func (x *trio) whole(t *testing.T) {
	t.Helper()
	for _, s := range x.servers {
		eventually(t, "the servers are connected", func() bool { return len(s.Node().Mesh().Connected()) == len(x.servers)-1 })
	}
}

// quiet waits until nothing is under way in and between the servers.
func (x *trio) quiet(t *testing.T) {
	t.Helper()
	before := ""
	eventually(t, "nothing is under way", func() bool {
		now, idle := x.state()
		same := idle && now == before
		before = now
		return same
	})
}

func (x *trio) state() (counts string, idle bool) {
	idle = true
	sent, handled := make(map[string]uint64), make(map[string]uint64)
	for _, s := range x.servers {
		self := s.Node().Self().Name
		idle = idle && s.Exchange().Idle()
		for _, l := range s.Node().Mesh().Status() {
			idle = idle && l.Queue == 0
			sent[self+" "+l.Name] = l.Frames
			handled[l.Name+" "+self] = l.Handled
		}
	}
	counts = fmt.Sprint(sent)
	return counts, idle && counts == fmt.Sprint(handled)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) { // between looks
		if time.Now().After(end) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}
