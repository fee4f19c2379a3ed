package datanode

import (
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/replication"
)

// Bounds of what is put together from parts: bytes of an element, and unfinished
// elements of one sender.
const (
	maxClientElement = 2*op.MaxBatch + 64<<10
	maxClientParts   = 4
	maxPeerElement   = 64 << 20
	maxPeerParts     = 4
)

// handler is the Node as the stream's read loop sees it. It implements
// xmppconn.Handler; all its fields belong to the read loop.
type handler struct {
	n           *Node
	clients     map[string]*client // by the raw from attribute
	clientParts *wire.Assembler
	peerParts   *wire.Assembler

	// Gathered until the bytes read are used up.
	proposals    []replication.Proposal
	readRequests []replication.ReadRequest
	clock        int64 // ms since 1970, of this wake-up; 0: not looked at yet

	elements [][]byte // of the message being handled
}

func newHandler(n *Node) *handler {
	return &handler{
		n: n, clients: make(map[string]*client),
		clientParts: wire.NewAssembler(maxClientElement, maxClientParts),
		peerParts:   wire.NewAssembler(maxPeerElement, maxPeerParts),
	}
}

// Up implements xmppconn.Handler.
func (h *handler) Up(c *xmppconn.Conn) {
	if c.JID() != h.n.full {
		h.n.estrange("the server bound " + c.JID() + " instead of " + h.n.full + "; is another data node logged in with this account?")
	}
	h.n.conn.Store(c)
	h.n.log.Info("logged in", "as", c.JID())
	h.n.announcer.announce(true)
}

// Idle implements xmppconn.Handler: what the bytes read brought goes to the
// engine in one batch.
func (h *handler) Idle(*xmppconn.Conn) {
	if len(h.proposals) > 0 {
		h.n.engine.ProposeBatch(h.proposals)
		h.proposals = make([]replication.Proposal, 0, min(cap(h.proposals), 256))
	}
	if len(h.readRequests) > 0 {
		h.n.engine.Read(h.readRequests)
		h.readRequests = make([]replication.ReadRequest, 0, min(cap(h.readRequests), 256))
	}
	h.clock = 0
}

// Down implements xmppconn.Handler. Without a stream nothing is known of the
// others.
func (h *handler) Down(error) {
	h.n.conn.Store(nil)
	h.n.iqs.Down()
	if v := h.n.view.Load(); v != nil {
		for _, p := range v.peers {
			p.down.Store(false)
		}
	}
}

// now is the time in ms since 1970; one look serves a whole wake-up.
func (h *handler) now() int64 {
	if h.clock == 0 {
		h.clock = time.Now().UnixMilli()
	}
	return h.clock
}

// Stanza implements xmppconn.Handler.
func (h *handler) Stanza(c *xmppconn.Conn, st *stanza.Stanza) bool {
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
	if len(h.clients) >= maxClients {
		for key, old := range h.clients {
			if old.inFlight.Load() == 0 {
				delete(h.clients, key)
			}
		}
	}
	h.clients[string(raw)] = c
	h.n.clients.Store(int64(len(h.clients)))
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

// message takes operations of clients and Raft batches of peers. What was
// stored on its way (XEP-0203) is too old to act on and dropped.
func (h *handler) message(c *xmppconn.Conn, st *stanza.Stanza) {
	if st.IsType("error") {
		h.bounced(st)
		return
	}
	p := stanza.Parse(st.Raw)
	p.Next()
	h.elements = h.elements[:0]
	raft, receipt := false, false
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		switch string(p.NS()) {
		case wire.NSDelay:
			return
		case wire.NSRaft:
			raft = true
			h.elements = append(h.elements, p.Element())
		case wire.NS:
			h.elements = append(h.elements, p.Element())
		case wire.NSReceipts:
			receipt = receipt || string(p.Name()) == "request"
			p.Skip()
		default:
			p.Skip()
		}
	}
	if len(h.elements) == 0 {
		return
	}
	if peer := h.peerOf(st); raft || (peer != nil && !receipt) {
		h.fromPeer(peer, st)
		return
	}
	h.fromClient(c, st, receipt)
}

// fromClient takes the <ops/> of a message, whole or in parts.
func (h *handler) fromClient(conn *xmppconn.Conn, st *stanza.Stanza, receipt bool) {
	c := h.sender(st)
	if c == nil {
		return
	}
	reqs := make([]*wire.Request, 0, len(h.elements))
	for _, el := range h.elements {
		if isPart(el) {
			if !c.app {
				h.refuse(conn, st, "forbidden", textDenied)
				return
			}
			whole, done, err := h.clientParts.Add(c.jid, el)
			if err != nil {
				h.refuse(conn, st, "bad-request", err.Error())
				return
			}
			if !done {
				continue
			}
			el = whole
		}
		req, err := wire.ParseRequest(el)
		if err != nil {
			h.refuse(conn, st, "bad-request", err.Error())
			return
		}
		reqs = append(reqs, req)
	}
	if len(reqs) > 0 {
		h.requests(c, st.AttrString(st.ID), receipt, reqs)
	}
}

func isPart(el []byte) bool {
	p := stanza.Parse(el)
	return p.Next() == stanza.Start && string(p.Name()) == "part"
}

// refuse answers a stanza with an error (RFC 6120 section 8.3). A message
// without id is nobody's question.
func (h *handler) refuse(conn *xmppconn.Conn, st *stanza.Stanza, condition, text string) {
	typ := "modify"
	switch condition {
	case "forbidden":
		typ = "auth"
	case "item-not-found", "feature-not-implemented":
		typ = "cancel"
	case "resource-constraint":
		typ = "wait"
	}
	h.n.log.Debug("stanza refused", "from", st.AttrString(st.From), "condition", condition, "text", text)
	_ = conn.Send(stanza.AppendError(nil, st, "", typ, condition, text)) // lost with the stream
}

// fromPeer takes Raft batches. The address must be the member's full JID and
// the store the one that the ring has for it: a wiped disk is not the member.
func (h *handler) fromPeer(p *peer, st *stanza.Stanza) {
	v := h.n.view.Load()
	if p == nil || v == nil || v.self == 0 {
		h.n.log.Debug("raft batch of no member dropped", "from", st.AttrString(st.From))
		return
	}
	for _, el := range h.elements {
		if isPart(el) {
			whole, done, err := h.peerParts.Add(p.jid, el)
			if err != nil || !done {
				continue // Raft repeats what got lost
			}
			el = whole
		}
		from, store, batch, err := wire.ParseRaft(el)
		if err != nil || from != p.id || store != p.store {
			h.n.log.Warn("raft batch dropped: its sender is not the member the ring knows", "from", p.jid, "member", from, "store", store, "err", err)
			continue
		}
		if p.down.CompareAndSwap(true, false) {
			h.n.engine.PeerUp(p.id)
		}
		h.n.engine.Receive(from, batch)
	}
}

// bounced takes an error for something sent. A Raft batch that could not be
// delivered says what presence may not have said yet.
func (h *handler) bounced(st *stanza.Stanza) {
	p := h.peerOf(st)
	if p == nil {
		return
	}
	switch xmppconn.ParseError(st).Condition {
	case "service-unavailable", "recipient-unavailable", "item-not-found":
		h.peerGone(p)
	}
}

func (h *handler) peerGone(p *peer) {
	if p.down.CompareAndSwap(false, true) {
		h.n.log.Info("member is unavailable", "member", p.id, "peer", p.jid)
		h.n.engine.PeerDown(p.id)
	}
}

// presence takes the hints of design D3.
func (h *handler) presence(c *xmppconn.Conn, st *stanza.Stanza) {
	switch typ := string(st.Get(st.Type.Value)); typ {
	case "":
		h.available(st)
	case "unavailable", "error":
		h.unavailable(st)
	case "subscribe":
		h.subscribe(c, st)
	}
}

func (h *handler) available(st *stanza.Stanza) {
	health := healthOf(st)
	if health == nil {
		return
	}
	p := h.peerOf(st)
	if p == nil {
		if health.Cluster != "" && h.n.view.Load() == nil && st.AttrString(st.From) != h.n.full {
			h.n.look(st.AttrString(st.From))
		}
		return
	}
	if health.Store != p.store {
		h.n.log.Warn("member came back with another disk; it is a stranger", "member", p.id, "peer", p.jid, "store", health.Store, "known", p.store)
		h.peerGone(p)
		return
	}
	if health.State == wire.StateStranger {
		return
	}
	if p.down.CompareAndSwap(true, false) {
		h.n.log.Info("member is available", "member", p.id, "peer", p.jid)
	}
	h.n.engine.PeerUp(p.id)
	h.n.announced(health.Epoch)
}

func healthOf(st *stanza.Stanza) *wire.Health {
	p := stanza.Parse(st.Raw)
	p.Next()
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		if string(p.NS()) != wire.NSHealth {
			p.Skip()
			continue
		}
		if h, err := wire.ParseHealth(p.Element()); err == nil {
			return h
		}
	}
	return nil
}

func (h *handler) unavailable(st *stanza.Stanza) {
	h.clientParts.Forget(st.AttrString(st.From))
	if p := h.peerOf(st); p != nil {
		h.peerGone(p)
		return
	}
	from := st.AttrString(st.From)
	if v := h.n.view.Load(); v != nil && !strings.Contains(from, "/") {
		for _, p := range v.peers {
			if strings.HasPrefix(p.jid, from+"/") {
				h.peerGone(p)
			}
		}
	}
}

// subscribe lets those see this node's presence that have to do with it (RFC
// 6121 section 3.1.3); others wait for a person's answer.
func (h *handler) subscribe(c *xmppconn.Conn, st *stanza.Stanza) {
	s := h.sender(st)
	if s == nil || (!s.app && !s.operator) {
		return
	}
	b := stanza.AppendAttr([]byte(`<presence`), "to", s.bare)
	_ = c.Send(append(b, ` type='subscribed'/>`...)) // asked again at the next login
}
