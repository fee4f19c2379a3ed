package datanode

import (
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// presence acts on what a contact announces: a hint, no more.
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
	from := st.AttrString(st.From)
	p := h.peerOf(st)
	if p == nil {
		if health.Cluster != "" && h.n.view.Load() == nil && wire.NodeJID(from) != h.n.full {
			h.n.look()
		}
		return
	}
	if health.Store != p.store {
		h.n.log.Warn("member came back with another disk; it is a stranger", "member", p.id, "peer", p.jid, "store", health.Store, "known", p.store)
		h.peerGone(p, p.index(from))
		return
	}
	if health.State == wire.StateStranger {
		return
	}
	h.peerThere(p, p.index(from))
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
	h.inParts = append(h.inParts, partStanza{gone: st.AttrString(st.From)})
	h.departed(string(st.Get(st.From.Value)))
	from := st.AttrString(st.From)
	if p := h.peerOf(st); p != nil {
		h.peerGone(p, p.index(from))
		return
	}
	if v := h.n.view.Load(); v != nil && !strings.Contains(from, "/") {
		for _, p := range v.peers {
			if strings.HasPrefix(p.jid, from+"/") {
				h.peerGone(p, 1)
				h.peerGone(p, 0)
			}
		}
	}
}

// subscribe lets those see this node's presence that have to do with it (RFC
// 6121 section 3.1.3); others wait for a person's answer.
func (h *handler) subscribe(c *xmppconn.Conn, st *stanza.Stanza) {
	s := h.sender(st)
	if s == nil || (!s.app && !s.operator && h.rights(s).none()) {
		return
	}
	b := stanza.AppendAttr([]byte(`<presence`), "to", s.bare)
	_ = c.Send(append(b, ` type='subscribed'/>`...)) // asked again at the next login
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
		h.peerGone(p, p.index(st.AttrString(st.From)))
	}
}

// peerThere notes that a peer is available under one of its addresses.
func (h *handler) peerThere(p *peer, address int) {
	p.seen[h.stream].there(address)
	h.n.lookAt(p)
}

// peerGone notes that a peer is not available under one of its addresses.
func (h *handler) peerGone(p *peer, address int) {
	s := &p.seen[h.stream]
	s.gone(address)
	if h.n.faults.OneStreamIsAll {
		s.bits.Store(firstGone)
	}
	h.n.lookAt(p)
}
