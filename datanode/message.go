package datanode

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

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
	reqs, ops := make([]*wire.Request, 0, len(h.elements)), 0
	for _, el := range h.elements {
		if isPart(el) {
			if h.rights(c).none() {
				h.refuse(conn, st, "forbidden", textDenied)
				return
			}
			whole, done, err := h.clientParts.Add(c.jid, el)
			if err != nil {
				condition := "bad-request"
				if errors.Is(err, wire.ErrTooLarge) {
					condition = "policy-violation"
				}
				h.refuse(conn, st, condition, err.Error())
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
		if ops += req.Len(); ops > maxInFlight {
			h.refuse(conn, st, "policy-violation", fmt.Sprintf("%d operations in one message; the limit is %d", ops, maxInFlight))
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

// The receiver of parts tells their sender how many it got, which opens the
// sender's window again.

func appendGot(dst []byte, parts int) []byte {
	dst = append(dst, "<got xmlns='"+wire.NSRaft+"' parts='"...)
	return append(strconv.AppendInt(dst, int64(parts), 10), "'/>"...)
}

func partsGot(el []byte) (parts int, ok bool) {
	p := stanza.Parse(el)
	if p.Next() != stanza.Start || string(p.Name()) != "got" {
		return 0, false
	}
	a, _ := p.Attr("parts")
	n, err := strconv.ParseUint(string(a), 10, 16)
	return int(n), err == nil
}

// acknowledgeParts tells the peers whose parts came with the bytes just read.
func (h *handler) acknowledgeParts(conn *xmppconn.Conn) {
	for _, p := range h.partsFrom {
		b := appendGot(append([]byte(nil), p.header...), p.received)
		p.received = 0
		_ = conn.Send(append(b, noStore+`</message>`...)) // lost: the sender goes on after a while
	}
	h.partsFrom = h.partsFrom[:0]
}

// refuse answers a stanza with an error (RFC 6120 section 8.3). A message
// without id is nobody's question.
func (h *handler) refuse(conn *xmppconn.Conn, st *stanza.Stanza, condition, text string) {
	h.n.counts.refused[refusedStanza].Add(1)
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
		if n, ok := partsGot(el); ok {
			h.n.pacer.got(p, n)
			continue
		}
		if isPart(el) {
			if p.received++; p.received == 1 {
				h.partsFrom = append(h.partsFrom, p)
			}
			whole, done, err := h.peerParts.Add(p.jid, el)
			if err != nil || !done {
				continue // Raft repeats what got lost
			}
			el = whole
		}
		from, store, batch, err := wire.ParseRaft(el)
		if err != nil || from != p.id || (store != p.store && !h.n.faults.AnyStore) {
			h.n.log.Warn("raft batch dropped: its sender is not the member the ring knows", "from", p.jid, "member", from, "store", store, "err", err)
			continue
		}
		if p.down.CompareAndSwap(true, false) {
			h.n.engine.PeerUp(p.id)
		}
		h.n.engine.Receive(from, batch)
	}
}
