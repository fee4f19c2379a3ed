package datanode

import (
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/replication/state"
)

// Bounds of what is kept for clients (counts).
const (
	maxClients       = 8192  // senders remembered
	maxInFlight      = 16384 // operations of one client not answered yet
	maxUnsent        = 32768 // results that one client is not told yet; it is read no further then
	maxKnownSessions = 65536 // sessions of one client known to be its own
	// Reads of changes that wait, of one client and of all. One takes 610 bytes
	// (BenchmarkWatches, replication's BenchmarkParked): these are 10 and 80 MB. A
	// watch of a prefix needs one a partition.
	maxWatches     = 16384
	maxNodeWatches = 131072
)

// client is a full JID that sends to this node. Its fields up to inFlight
// belong to the read loop.
type client struct {
	id       uint64 // of this login, for the engine
	jid      string // full
	stream   int    // of this node, by which it came
	address  stanza.JID
	bare     string // owner of its sessions
	owner    state.Owner
	app      bool
	operator bool
	// sessions are known to belong to the client.
	sessions map[sessionKey]struct{}
	rights   rights // by rightsOf
	rightsOf *access
	epoch    uint64 // of the newest ring that it says it has

	holding  *holding     // of its account
	average  atomic.Int64 // bytes of the results of its reads
	inFlight atomic.Int64
	aside    atomic.Int64 // messages in the assembly
	watches  atomic.Int64 // reads of changes that wait
	unsent   atomic.Int64 // results in out and rest
	gone     atomic.Bool  // nobody is there to be answered

	rest outbox // of the answering goroutine: what is left of what it took from out

	mu  sync.Mutex
	out outbox
}

type sessionKey struct {
	partition uint32
	session   op.Session
}

// outbox is what waits to be told to a client.
type outbox struct {
	queued bool // in the list of the answering goroutine
	writes []written
	reads  []readDone
	iqs    []*iqRead
	done   []string // ids of requests completed, for receipts
}

// empty tells that there is nothing to tell.
func (o *outbox) empty() bool {
	return len(o.writes)+len(o.reads)+len(o.iqs)+len(o.done) == 0
}

// written is the result of an open or a write.
type written struct {
	tag   uint64
	group uint32
	res   op.WriteResult
}

// readDone is the result of a read.
type readDone struct {
	tag   uint64
	group uint32
	term  uint64 // that the client has to have confirmed; 0: none
	held  int64  // bytes to be given back when it was sent
	res   op.ReadResult
}

// newClient works out a sender's roles; nil if the address is no full or bare JID.
func (n *Node) newClient(from string) *client {
	j, err := stanza.ParseJID(from)
	if err != nil || j.Local == "" {
		return nil
	}
	bare := j.Bare().String()
	return &client{
		id: n.clientIDs.Add(1), jid: from, address: j, bare: bare, owner: state.OwnerOf(bare),
		app:      matchAny(n.roles.apps, j),
		operator: matchAny(n.roles.operators, j),
		sessions: make(map[sessionKey]struct{}),
	}
}

// request is one stanza with operations; its fields are guarded by client.mu.
type request struct {
	c       *client
	id      string
	receipt bool // the sender asked for one (XEP-0184)
	left    int  // operations without a result
}

// write notes a result. It may be called from any goroutine.
func (r *request) write(a *answers, w written) {
	r.c.unsent.Add(1)
	r.c.mu.Lock()
	r.c.out.writes = append(r.c.out.writes, w)
	r.finish(a)
}

func (r *request) read(a *answers, d readDone) {
	r.c.unsent.Add(1)
	r.c.mu.Lock()
	r.c.out.reads = append(r.c.out.reads, d)
	r.finish(a)
}

// finish counts one result, and unlocks the client.
func (r *request) finish(a *answers) {
	if r.left--; r.left <= 0 && r.receipt {
		r.c.out.done = append(r.c.out.done, r.id)
	}
	r.c.tell(a)
}

// tell puts the client on the list of those that something is to be told to, and unlocks it.
func (c *client) tell(a *answers) {
	first := !c.out.queued
	c.out.queued = true
	c.mu.Unlock()
	if first {
		a.pushClient(c)
	}
}
