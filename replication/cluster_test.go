package replication

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
	"github.com/rosterdb/rosterdb/ring"
)

// testNet carries batches between the nodes of one process.
type testNet struct {
	mu    sync.RWMutex
	nodes map[uint64]*Node
	cut   map[uint64]bool
	most  map[uint64]int // larger batches for a node are lost, in bytes; 0: none are
	bytes atomic.Int64
	sends atomic.Int64
}

type testLink struct {
	net  *testNet
	from uint64
}

func (l testLink) Flush() {}

func (l testLink) MaxBatch() int { return 128 << 10 }

func (l testLink) SendBulk(to uint64, _ Bulk, batch []byte) {
	if batch != nil {
		l.Send(to, batch)
	}
}

func (l testLink) Send(to uint64, batch []byte) {
	l.net.bytes.Add(int64(len(batch)))
	l.net.sends.Add(1)
	l.net.mu.RLock()
	n := l.net.nodes[to]
	cut := l.net.cut[to] || l.net.cut[l.from] || l.net.most[to] > 0 && len(batch) > l.net.most[to]
	l.net.mu.RUnlock()
	if n != nil && !cut {
		n.Receive(l.from, bytes.Clone(batch)) // the sender uses its memory again: Config.Copied
	}
}

func (t *testNet) setCut(id uint64, cut bool) {
	t.mu.Lock()
	t.cut[id] = cut
	t.mu.Unlock()
}

func (t *testNet) setMost(id uint64, bytes int) {
	t.mu.Lock()
	t.most[id] = bytes
	t.mu.Unlock()
}

// testCluster is a cluster of nodes on real disks in one process.
type testCluster struct {
	t    testing.TB
	net  *testNet
	root string
	doc  *ring.Document
	dirs []*Dir
	cfg  func(*Config)
}

func newTestCluster(t testing.TB, nodes, partitions int, cfg func(*Config)) *testCluster {
	t.Helper()
	c := &testCluster{
		t: t, root: t.TempDir(), cfg: cfg,
		net:  &testNet{nodes: make(map[uint64]*Node), cut: make(map[uint64]bool), most: make(map[uint64]int)},
		dirs: make([]*Dir, nodes),
	}
	for i := range nodes {
		c.openDir(i)
	}
	doc := testDocument(nodes, partitions, func(i int) string { return c.dirs[i].Store() })
	c.doc = doc
	for i := range nodes {
		c.start(i)
		if err := c.node(i).Reconcile(doc); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(c.close)
	return c
}

// testDocument is a first ring document; partition p prefers member p%nodes+1.
func testDocument(nodes, partitions int, store func(int) string) *ring.Document {
	doc := &ring.Document{
		Version: ring.FormatVersion, Cluster: "c0ffee00-0000-4000-8000-000000000001", Epoch: 1,
		Partitions: partitions, Replicas: min(3, nodes),
	}
	for i := range nodes {
		doc.Members = append(doc.Members, ring.Member{
			ID: uint64(i + 1), JID: fmt.Sprintf("dn%d@example.org/store", i+1), Store: store(i), State: ring.Active,
		})
	}
	for p := range partitions {
		var row []uint64
		for r := range doc.Replicas {
			row = append(row, uint64((p+r)%nodes+1))
		}
		doc.Table = append(doc.Table, row)
	}
	for i := range doc.Replicas {
		doc.Meta = append(doc.Meta, uint64(i+1))
	}
	return doc
}

func (c *testCluster) openDir(i int) {
	c.t.Helper()
	d, err := OpenDir(filepath.Join(c.root, fmt.Sprint(i+1)))
	if err != nil {
		c.t.Fatal(err)
	}
	c.dirs[i] = d
}

func (c *testCluster) node(i int) *Node {
	c.net.mu.RLock()
	defer c.net.mu.RUnlock()
	return c.net.nodes[uint64(i+1)]
}

func (c *testCluster) start(i int) {
	c.t.Helper()
	if err := c.tryStart(i); err != nil {
		c.t.Fatal(err)
	}
}

// tryStart starts a node whose directory may be one that it must refuse.
func (c *testCluster) tryStart(i int) error {
	c.t.Helper()
	if c.dirs[i] == nil {
		c.openDir(i)
	}
	cfg := Config{
		Dir: c.dirs[i], Transport: testLink{net: c.net, from: uint64(i + 1)}, Copied: true,
		Free: func(batch []byte) {
			for i := range batch {
				batch[i] = 0xDB // as whoever uses its memory next would
			}
		},
		WAL:     wal.Options{SegmentSize: 4 << 20},
		OnFatal: func(err error) { c.t.Errorf("node %d: %v", i+1, err) },
	}
	if os.Getenv("ROSTERDB_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", i+1)
	}
	if c.cfg != nil {
		c.cfg(&cfg)
	}
	n, err := Open(cfg)
	if err != nil {
		err = errors.Join(err, c.dirs[i].Close())
		c.dirs[i] = nil
		return err
	}
	c.net.mu.Lock()
	c.net.nodes[uint64(i+1)] = n
	c.net.mu.Unlock()
	return nil
}

func (c *testCluster) stop(i int) {
	c.t.Helper()
	n := c.node(i)
	if n == nil {
		return
	}
	if err := n.Close(); err != nil {
		c.t.Error(err)
	}
	c.net.mu.Lock()
	delete(c.net.nodes, uint64(i+1))
	c.net.mu.Unlock()
	if err := c.dirs[i].Close(); err != nil {
		c.t.Error(err)
	}
	c.dirs[i] = nil
}

func (c *testCluster) close() {
	for i := range c.dirs {
		c.stop(i)
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond) // the pause of a poll
	}
}

// leader waits for the node that leads the group.
func (c *testCluster) leader(group uint32) *Node {
	c.t.Helper()
	var found *Node
	eventually(c.t, fmt.Sprintf("group %d has a leader", group), func() bool {
		for i := range c.dirs {
			if n := c.node(i); n != nil {
				if l, ok := n.LeaderOf(group); ok && l == uint64(i+1) {
					found = n
					return true
				}
			}
		}
		return false
	})
	return found
}

func propose(n *Node, group uint32, cmd []byte) op.WriteResult {
	ch := make(chan op.WriteResult, 1)
	n.ProposeBatch([]Proposal{{Group: group, Cmd: cmd, Done: func(r op.WriteResult) { ch <- r }}})
	return <-ch
}

func read(n *Node, group uint32, r *op.Read) op.ReadResult {
	ch := make(chan op.ReadResult, 1)
	n.Read([]ReadRequest{{Group: group, Read: r, Done: func(r op.ReadResult) { ch <- r }}})
	return <-ch
}

// write proposes at the leader, wherever that is, until it has an answer.
func (c *testCluster) write(group uint32, cmd []byte) op.WriteResult {
	c.t.Helper()
	var res op.WriteResult
	eventually(c.t, "a write is answered", func() bool {
		res = propose(c.leader(group), group, cmd)
		return res.Code != op.Redirect && res.Code != op.Unavailable && res.Code != op.Retry
	})
	return res
}

func (c *testCluster) read(group uint32, r *op.Read) op.ReadResult {
	c.t.Helper()
	var res op.ReadResult
	eventually(c.t, "a read is answered", func() bool {
		res = read(c.leader(group), group, r)
		return res.Code != op.Redirect && res.Code != op.Unavailable
	})
	return res
}

func (c *testCluster) session(group uint32) op.Session {
	c.t.Helper()
	res := c.write(group, state.EncodeOpen(nil, time.Now().UnixMilli(), "app@example.org"))
	if res.Code != op.OK {
		c.t.Fatalf("open a session: %+v", res)
	}
	return res.Session
}

func put(s op.Session, seq uint64, root, path, value string) []byte {
	return state.EncodeWrite(nil, time.Now().UnixMilli(), state.OwnerOf("app@example.org"), &op.Write{
		Root: root, Session: s, Seq: seq, Floor: seq,
		Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: []byte(value)}},
	})
}

func get(root, path string) *op.Read { return &op.Read{Kind: op.Get, Root: root, Path: path} }
