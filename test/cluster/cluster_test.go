// Package cluster tests data nodes, the XMPP server and the operator's client
// together: one process, real sockets, real disks.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/datanode"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/ring"
	"github.com/rosterdb/rosterdb/xmppd"
)

const (
	domain   = "localhost"
	password = "correct horse"

	patience = 2 * time.Minute // with what should come at once: a slow machine is no mistake
)

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		runChild()
		return
	}
	goleak.VerifyTestMain(m)
}

// server is an XMPP server with the accounts of a cluster.
type server struct {
	*xmppd.Server
	cfg  xmppd.Config
	log  *slog.Logger
	addr string
}

func startServer(t *testing.T, nodes int) *server {
	t.Helper()
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data = domain, t.TempDir()
	cfg.ListenC2S, cfg.ListenTLS, cfg.InsecurePlaintext = "127.0.0.1:0", "", true
	cfg.ListenHTTP = "127.0.0.1:0"
	s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: logger(t, "xmppd")})
	if err != nil {
		t.Fatal(err)
	}
	srv := &server{Server: s, cfg: cfg, log: logger(t, "xmppd")}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("close server: %v", err)
		}
	})
	add := func(name, group string) {
		if err := s.Accounts().Add(t.Context(), name, password, group); err != nil {
			t.Fatal(err)
		}
	}
	for i := range nodes {
		add(nodeName(i), "Data nodes")
	}
	add("app", "Applications")
	add("app2", "Applications")
	add("operator", "Operators")
	add("user", "")
	srv.addr, _, _ = s.Addrs()
	srv.cfg.ListenC2S = srv.addr
	return srv
}

// restart ends the server and starts it again, at the same address.
func (s *server) restart(t *testing.T) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := xmppd.Start(t.Context(), s.cfg, xmppd.Options{Log: s.log})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = again
}

func nodeName(i int) string { return fmt.Sprintf("dn%d", i+1) }
func nodeJID(i int) string  { return nodeName(i) + "@" + domain + "/store" }

func (s *server) login(name string) xmppconn.Config {
	return xmppconn.Config{
		JID: name + "@" + domain, Password: password,
		Addrs: []string{s.addr}, InsecurePlaintext: true,
	}
}

// logger writes to standard error under ROSTERDB_TEST_LOG, else nowhere.
func logger(t *testing.T, who string) *slog.Logger {
	var w io.Writer = io.Discard
	if os.Getenv("ROSTERDB_TEST_LOG") != "" {
		w = os.Stderr
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})).With("test", t.Name(), "who", who)
}

// node is one data node of a cluster, running or not.
type node struct {
	i      int
	dir    string
	free   func(string) (uint64, uint64, error)
	cancel context.CancelFunc
	ended  chan error
}

// cluster is a server with data nodes and an operator.
type cluster struct {
	t     *testing.T
	srv   *server
	nodes []*node
	op    *admin.Client
	doc   *ring.Document
}

const testPartitions = 8

// newCluster starts nodes; bootstrap makes the ring of them.
func newCluster(t *testing.T, nodes int) *cluster {
	t.Helper()
	c := &cluster{t: t, srv: startServer(t, nodes)}
	for i := range nodes {
		c.nodes = append(c.nodes, &node{i: i, dir: filepath.Join(t.TempDir(), nodeName(i))})
	}
	t.Cleanup(func() {
		var wg sync.WaitGroup
		for _, n := range c.nodes {
			wg.Go(func() { c.stop(n.i) })
		}
		wg.Wait()
	})
	for i := range nodes {
		c.start(i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	op, err := admin.Connect(ctx, c.srv.login("operator"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(op.Close)
	c.op = op
	return c
}

func (c *cluster) config(i int) datanode.Config {
	return datanode.Config{
		Dir: c.nodes[i].dir, XMPP: c.srv.login(nodeName(i)),
		Operators: []string{"operator@" + domain}, Apps: []string{"app@" + domain, "app2@" + domain},
		DiskSpace: c.nodes[i].free, DiskEvery: 50 * time.Millisecond,
		Version: "test", Logger: logger(c.t, nodeName(i)),
	}
}

func (c *cluster) start(i int) {
	c.t.Helper()
	n := c.nodes[i]
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.ended = cancel, make(chan error, 1)
	cfg := c.config(i)
	go func() { n.ended <- datanode.Run(ctx, cfg) }()
}

// stop ends a node in good order.
func (c *cluster) stop(i int) {
	n := c.nodes[i]
	if n.cancel == nil {
		return
	}
	n.cancel()
	select {
	case err := <-n.ended:
		if err != nil && !errors.Is(err, context.Canceled) {
			c.t.Errorf("%s ended with: %v", nodeName(i), err)
		}
	case <-time.After(patience):
		c.t.Errorf("%s does not end", nodeName(i))
	}
	n.cancel = nil
	if c.op != nil {
		c.eventually(nodeName(i)+" is gone from the roster", func() bool { return !c.view(i).Online })
	}
}

func (c *cluster) jids() []string {
	var out []string
	for i := range c.nodes {
		out = append(out, nodeJID(i))
	}
	return out
}

// bootstrap waits until all nodes are in the roster and makes the ring.
func (c *cluster) bootstrap() {
	c.t.Helper()
	c.awaitOnline()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	doc, err := c.op.Bootstrap(ctx, c.jids(), admin.BootstrapOptions{Partitions: testPartitions})
	if err != nil {
		c.t.Fatal(err)
	}
	c.doc = doc
}

func (c *cluster) view(i int) admin.NodeView {
	for _, v := range c.op.Nodes() {
		if v.JID == nodeJID(i) {
			return v
		}
	}
	return admin.NodeView{}
}

func (c *cluster) awaitOnline() {
	c.t.Helper()
	for i := range c.nodes {
		c.eventually(nodeName(i)+" is available", func() bool { return c.view(i).Online })
	}
}

// awaitLed waits until the nodes that are online lead all partitions.
func (c *cluster) awaitLed() {
	c.t.Helper()
	c.eventually("every partition has a leader", func() bool {
		led := 0
		for _, v := range c.op.Nodes() {
			if v.Online {
				led += v.Health.Led
			}
		}
		return led >= testPartitions
	})
}

func (c *cluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	c.within(patience, what, ok)
}

func (c *cluster) within(d time.Duration, what string, ok func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(d)
	for !ok() {
		if time.Now().After(deadline) {
			c.t.Fatalf("not in time: %s; nodes: %+v", what, c.op.Nodes())
		}
		time.Sleep(5 * time.Millisecond) // the pause of a poll
	}
}
