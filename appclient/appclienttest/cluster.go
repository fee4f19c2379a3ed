// Package appclienttest is a RosterDB cluster inside the test's process, for
// tests of applications and of the client itself. It speaks the real protocol
// over a real loopback socket; its nodes share one state in memory, so nothing
// survives it and nothing is replicated. Faults make it misbehave as networks
// and nodes do.
package appclienttest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn/xmppconntest"
	"github.com/rosterdb/rosterdb/ring"
)

// Options of a Cluster.
type Options struct {
	Nodes      int // 0: 3
	Partitions int // 0: 16
	MaxStanza  int // bytes; 0: 256 KiB. The values in an IQ fit half of it, others are read in pieces.
	// CutBatches ends pages of changes within a batch, as nodes do when it is large.
	CutBatches bool
	// Indexes are the secondary indexes that there are.
	Indexes []Index
	// Fault is asked about each stanza with operations; nil: all goes well. It
	// is called from the nodes' goroutines, one at a time.
	Fault func(Stanza) Fault
	// RingFault is the condition of the stanza error with which a node, by its full JID,
	// answers a question for the ring; "" or a nil function: it gives the ring.
	RingFault func(node string) string
}

// Index declares a secondary index over one field of JSON objects, as `ringctl
// index` does.
type Index struct {
	Name   string
	Prefix string // of the roots' names
	Path   string // of the objects within a root; "" is the root object, "*" any
	Field  string // names of members, joined by dots
}

// Stanza is a request that is about to be handled.
type Stanza struct {
	Node          string // full JID of the node it is for
	Opens, Writes int    // operations in it
	Settles       int
	Reads         int // Changes not among them
	Changes       int // reads of a watch
	Cancels       int // of these, waited for no longer
}

// Fault is what goes wrong with a request.
type Fault struct {
	DropRequest  bool          // it never arrives
	DropAnswer   bool          // it is handled, the answer never arrives
	DupAnswer    bool          // the answer arrives twice
	Delay        time.Duration // before the answer
	Refuse       op.Code       // answer each operation with this code, apply nothing
	RetryAfter   time.Duration // said with Refuse, and with Bounce as a data node does
	ApplyAndSay  op.Code       // apply each operation, but answer with this code
	NoHint       bool          // a redirect does not name the leader
	Bounce       string        // answer with a stanza error of this condition
	LateReceipt  bool          // the receipt comes without results
	Expiring     string        // reads do not show the object at this path, as if it had expired and waited for its removal
	ForeignFirst bool          // a stranger's forged results come first
	Then         func()        // called when the request was dealt with
}

// Cluster is a running fake cluster.
type Cluster struct {
	opt Options
	srv *xmppconntest.Server

	mu      sync.Mutex
	doc     *ring.Document
	state   *store
	nodes   []*fakeNode
	leaders []int // of each partition: index in nodes
	clients map[*xmppconntest.Session]*wire.Assembler
	waiting map[waiting]chan struct{} // reads of watches; closed when they are called off
	wg      sync.WaitGroup
	closed  bool
	over    chan struct{} // closed by Close
	parts   int           // answers sent in parts so far
}

// waiting is a read that waits at a node.
type waiting struct {
	s   *xmppconntest.Session
	n   *fakeNode
	tag uint64
}

type fakeNode struct {
	jid    string
	online bool
	health wire.Health
}

// Start starts a cluster. Close it after use.
func Start(opt Options) (*Cluster, error) {
	if opt.Nodes == 0 {
		opt.Nodes = 3
	}
	if opt.Partitions == 0 {
		opt.Partitions = 16
	}
	if opt.MaxStanza == 0 {
		opt.MaxStanza = 256 << 10
	}
	c := &Cluster{opt: opt, over: make(chan struct{}), clients: make(map[*xmppconntest.Session]*wire.Assembler), waiting: make(map[waiting]chan struct{})}
	var members []ring.Member
	for i := range opt.Nodes {
		jid := fmt.Sprintf("dn%d@localhost/store", i+1)
		uuid := fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)
		members = append(members, ring.Member{ID: uint64(i + 1), JID: jid, Store: uuid, State: ring.Active})
		c.nodes = append(c.nodes, &fakeNode{jid: jid, online: true, health: wire.Health{Member: uint64(i + 1), Store: uuid, State: "ok"}})
	}
	doc, err := ring.New(members, ring.Options{Cluster: "00000000-0000-4000-8000-0000000000ff", Partitions: opt.Partitions, Replicas: min(3, opt.Nodes)})
	if err != nil {
		return nil, fmt.Errorf("make ring: %w", err)
	}
	for i, ix := range opt.Indexes {
		doc.Indexes = append(doc.Indexes, ring.Index{Name: ix.Name, ID: uint32(i + 1), Prefix: ix.Prefix, Path: ix.Path, Field: ix.Field})
	}
	c.doc = doc
	c.state = newStore(opt.Partitions, doc.Indexes)
	c.state.cut = opt.CutBatches
	for _, row := range doc.Table {
		c.leaders = append(c.leaders, int(row[0])-1)
	}
	c.srv, err = xmppconntest.Start(xmppconntest.Options{Login: c.login, Stanza: c.stanza, Logout: c.logout})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Config returns what a client needs to dial the cluster.
func (c *Cluster) Config() appclient.Config {
	return appclient.Config{JID: "app@localhost", Password: "any", Addrs: []string{c.srv.Addr()}, InsecurePlaintext: true, MaxStanza: c.opt.MaxStanza}
}

// Close stops the cluster and waits for its goroutines.
func (c *Cluster) Close() {
	c.mu.Lock()
	if !c.closed {
		close(c.over)
	}
	c.closed = true
	c.mu.Unlock()
	c.srv.Close()
	c.wg.Wait()
}

// DropStreams cuts all clients' connections.
func (c *Cluster) DropStreams() { c.srv.Drop() }

// Replace ends all clients' streams as a server does when another client has logged
// in under the same full JID.
func (c *Cluster) Replace() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.clients {
		s.Send([]byte("<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"))
	}
}

// Applied returns the writes that changed the state, in order.
func (c *Cluster) Applied() []Applied {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.state.applied)
}

// Nodes returns the full JIDs of the data nodes.
func (c *Cluster) Nodes() (jids []string) {
	for _, n := range c.nodes {
		jids = append(jids, n.jid)
	}
	return jids
}

// ExpireSessions forgets all sessions.
func (c *Cluster) ExpireSessions() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.state.sessions)
}

// Pass moves the cluster's time; what expires in the meantime is removed by what
// comes next.
func (c *Cluster) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.ahead += d
}

// Advance moves the cluster's time: what expires in the meantime is gone.
func (c *Cluster) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.ahead += d
	for _, p := range c.state.parts {
		c.state.expire(p)
		p.wake()
	}
}

// Compact forgets all changes so far: a watch that has not seen them ends with
// ErrCompacted.
func (c *Cluster) Compact() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.state.parts {
		p.floor, p.events = p.position, nil
	}
}

// Unhear makes a partition one that does not know of an index yet, as while that is being created.
func (c *Cluster) Unhear(partition int, index string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.parts[partition].unheard = index
}

// Hear tells a partition of the index that it did not know of: its events begin there.
func (c *Cluster) Hear(partition int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.state.parts[partition]
	p.position++
	p.unheard, p.heard = "", p.position
	p.wake()
}

// Lead makes the replica with this place in the ring's order lead all partitions.
func (c *Cluster) Lead(place int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, row := range c.doc.Table {
		c.leaders[p] = int(row[place%len(row)]) - 1
	}
}

// SetOnline changes a node's presence. An offline node answers nothing, and
// hands the partitions it led to the next online replica.
func (c *Cluster) SetOnline(node int, online bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[node]
	n.online = online
	for p, row := range c.doc.Table {
		if c.nodes[c.leaders[p]].online {
			continue
		}
		for _, id := range row {
			if c.nodes[id-1].online {
				c.leaders[p] = int(id) - 1
				break
			}
		}
	}
	for _, p := range c.state.parts {
		p.wake() // those who wait at a node that is gone
	}
	for s := range c.clients {
		s.Send(c.presence(n, s.JID))
	}
}

// Move swaps the replicas of all partitions to the next members and publishes
// the ring with a new epoch.
func (c *Cluster) Move() {
	c.mu.Lock()
	defer c.mu.Unlock()
	doc := *c.doc
	doc.Epoch++
	doc.Table = make([][]uint64, len(c.doc.Table))
	for p, row := range c.doc.Table {
		for _, id := range row {
			doc.Table[p] = append(doc.Table[p], id%uint64(len(c.nodes))+1)
		}
		c.leaders[p] = int(doc.Table[p][0]) - 1
	}
	c.doc = &doc
	for s := range c.clients {
		for _, n := range c.nodes {
			s.Send(c.presence(n, s.JID))
		}
	}
}

func (c *Cluster) presence(n *fakeNode, to string) []byte {
	b := stanza.AppendAttr([]byte("<presence"), "from", n.jid)
	b = stanza.AppendAttr(b, "to", to)
	if !n.online {
		return append(b, " type='unavailable'/>"...)
	}
	n.health.Epoch, n.health.Cluster = c.doc.Epoch, c.doc.Cluster
	b = append(b, "><priority>1</priority>"...)
	b = wire.AppendHealth(b, &n.health)
	return append(b, "</presence>"...)
}

func (c *Cluster) login(s *xmppconntest.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients[s] = wire.NewAssembler(wire.MaxRequest, 16)
}

func (c *Cluster) logout(s *xmppconntest.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.clients, s)
}
