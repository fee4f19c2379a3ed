package datanode

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/replication"
)

// Bounds of what is put together from parts: bytes of an element, and unfinished
// elements of one sender.
const (
	maxClientParts = 4
	maxClientHeld  = 64 << 20 // bytes of all clients' unfinished requests
	maxPeerElement = 1 << 30
	maxPeerParts   = 3 // one of each lane of the pacer, and one that it has cut off
)

// handler is the Node as a stream's read loop sees it. It implements
// xmppconn.Handler. Of the fields behind mu some are the assembly's, too.
type handler struct {
	n       *Node
	stream  int // which of the node's
	parts   *assembly
	inParts []partStanza // of the stanza being handled, for the assembly

	urgent   atomic.Int32 // the read loop wants mu
	mu       sync.Mutex
	clients  map[string]*client  // by the raw from attribute
	holdings map[string]*holding // by bare JID

	// Gathered until the bytes read are used up.
	proposals    []replication.Proposal
	proposers    []asker // of each of them
	readRequests []replication.ReadRequest
	readers      []asker
	direct       direct
	numbers      []uint64  // of the last <terms/>
	clock        int64     // ms since 1970, of this wake-up; 0: not looked at yet
	at           time.Time // the same

	elements [][]byte // of the message being handled
}

func newHandler(n *Node, stream int) *handler {
	h := &handler{n: n, stream: stream, clients: make(map[string]*client), holdings: make(map[string]*holding)}
	h.parts = newAssembly(h)
	return h
}

// Up implements xmppconn.Handler.
func (h *handler) Up(c *xmppconn.Conn) {
	if want := h.n.addresses()[h.stream]; c.JID() != want {
		h.n.estrange("the server bound "+c.JID()+" instead of "+want+"; is another data node logged in with this account?", false)
	}
	h.n.streams.up(h.stream, c)
	h.n.log.Info("logged in", "as", c.JID())
	h.n.announcer.announce(true)
}

// Idle implements xmppconn.Handler: what the bytes read brought goes to the
// engine in one batch.
func (h *handler) Idle(*xmppconn.Conn) {
	h.lock()
	h.submit()
	told := h.direct.told
	h.direct.spent, h.direct.told = 0, false
	h.mu.Unlock()
	if told {
		h.n.streams.push()
	}
}

// submit passes on what has gathered. The lock is held.
func (h *handler) submit() {
	if len(h.proposals)+len(h.readRequests) > 0 {
		h.n.fair.submit(h.proposals, h.proposers, h.readRequests, h.readers)
		if len(h.proposals) > 0 {
			h.proposals = make([]replication.Proposal, 0, min(cap(h.proposals), 256))
			clear(h.proposers)
			h.proposers = h.proposers[:0]
		}
		if len(h.readRequests) > 0 {
			h.readRequests = make([]replication.ReadRequest, 0, min(cap(h.readRequests), 256))
			clear(h.readers)
			h.readers = h.readers[:0]
		}
	}
	h.clock = 0
}

// Down implements xmppconn.Handler. Without a stream nothing is known of the
// others; with another stream its server says who is there.
func (h *handler) Down(error) {
	h.n.streams.down(h.stream)
	alone := h.n.streams.conn() == nil
	if !alone {
		h.n.log.Info("the other stream carries on", "as", h.n.addresses()[1-h.stream])
	}
	h.n.iqs.Down()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.submit()
	for _, c := range h.clients {
		h.n.leave(c) // their answers could not be sent; they ask again
	}
	h.n.clients.Add(-int64(len(h.clients)))
	clear(h.clients)
	if v := h.n.view.Load(); v != nil {
		for _, p := range v.peers {
			p.seen[h.stream].bits.Store(0)
			if alone {
				h.n.pacer.forget(p)
				p.away.Store(false)
			} else {
				h.n.lookAt(p)
			}
		}
	}
}

// now is the time in ms since 1970; one look serves a whole wake-up.
func (h *handler) now() int64 {
	if h.clock == 0 {
		h.at = time.Now()
		h.clock = h.at.UnixMilli()
	}
	return h.clock
}

// observe takes note of what a client has seen: a ring, which is nobody's business but
// its own, since it may be made up, and a log time, where it may do anything at all.
func (h *handler) observe(c *client, q *wire.Request) {
	c.epoch = max(c.epoch, q.Epoch)
	t := q.Time
	if t > 0 && !h.rights(c).none() && !h.n.clock.observe(t, h.now()) {
		if held, ok := h.n.oddTimes.pass(time.Now(), time.Second); ok {
			h.n.log.Warn("a client's time is too far ahead of this node's clock and ignored; set the clocks of the machines", "client", c.jid, "ms", t-h.now(), "more_since_last", held)
		}
	}
}

// stamp is the log time of a command proposed now.
func (h *handler) stamp() int64 { return h.n.clock.stamp(h.now()) }

// leave gives up what a client waits for: it has gone.
func (n *Node) leave(c *client) {
	c.gone.Store(true)
	if c.watches.Load() > 0 {
		n.fair.callOff(c, nil)
		n.engine.Forget(c.id)
	}
}

// departed takes note that a full JID has gone.
func (h *handler) departed(from string) {
	if c := h.clients[from]; c != nil {
		delete(h.clients, from)
		h.n.clients.Add(-1)
		h.submit() // what it asked for just before is given up, too
		h.n.leave(c)
	}
}

// Stanza implements xmppconn.Handler.
func (h *handler) Stanza(c *xmppconn.Conn, st *stanza.Stanza) bool {
	h.lock()
	handled := h.stanza(c, st)
	h.mu.Unlock()
	for _, p := range h.inParts {
		if !h.parts.put(p) { // not under the lock, which the assembly needs
			p.client.aside.Add(-1)
			h.busy(c, p.st, textLarge)
			h.n.buffers.put(p.st.Raw)
		}
	}
	clear(h.inParts)
	h.inParts = h.inParts[:0]
	return handled
}

// lock is that of the read loop.
func (h *handler) lock() {
	h.urgent.Add(1)
	h.mu.Lock()
	h.urgent.Add(-1)
}

// lockLow is that of the assembly: the read loop, which peers wait for, comes first.
func (h *handler) lockLow() {
	for h.urgent.Load() > 0 {
		runtime.Gosched()
	}
	h.mu.Lock()
}

func (h *handler) stanza(c *xmppconn.Conn, st *stanza.Stanza) bool {
	switch st.Kind {
	case stanza.Message:
		h.message(c, st)
		return true
	case stanza.Presence:
		h.presence(c, st)
		return true
	case stanza.IQ:
		return h.n.iqs.Handle(st) || h.iq(c, st)
	default:
		return false
	}
}

// sender returns the client of a stanza, nil if the address is none.
func (h *handler) sender(st *stanza.Stanza) *client {
	raw := st.Get(st.From.Value)
	if c, ok := h.clients[string(raw)]; ok {
		return c
	}
	c := h.n.newClient(st.AttrString(st.From))
	if c == nil {
		return nil
	}
	c.holding, c.stream = h.holdingOf(c.bare), h.stream
	before := len(h.clients)
	if len(h.clients) >= maxClients {
		for key, old := range h.clients {
			if old.inFlight.Load() == 0 {
				delete(h.clients, key)
			}
		}
	}
	h.clients[string(raw)] = c
	h.n.clients.Add(int64(len(h.clients) - before))
	return c
}

// peerOf returns the member whose full JID the server stamped, nil if none.
func (h *handler) peerOf(st *stanza.Stanza) *peer {
	v := h.n.view.Load()
	if v == nil {
		return nil
	}
	if p, ok := v.byJID[string(st.Get(st.From.Value))]; ok {
		return p
	}
	return v.byJID[st.AttrString(st.From)]
}
