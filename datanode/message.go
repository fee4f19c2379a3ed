package datanode

import (
	"errors"
	"fmt"
	"strings"

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
	raft, receipt, parts := false, false, false
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
			parts = parts || string(p.Name()) == "part"
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
	peer := h.peerOf(st)
	switch {
	case !raft && (peer == nil || receipt):
		h.fromClient(c, st, receipt, parts)
	case parts && peer != nil:
		h.inParts = append(h.inParts, partStanza{conn: c, st: h.cloned(st), peer: peer})
	default:
		h.fromPeer(peer, st)
	}
}

// cloned is a copy for the assembly, which gives its memory back.
func (h *handler) cloned(st *stanza.Stanza) *stanza.Stanza {
	clone := *st
	clone.Raw = append(h.n.buffers.get(), st.Raw...)
	return &clone
}

// asideFrom is the size in bytes from which a client's message is read beside the
// read loop, so that a flood of them holds up nothing that is urgent.
const asideFrom = 16 << 10

// fromClient takes the <ops/> of a message. While one of a client waits in the
// assembly its next ones do, too, so that their order is kept.
func (h *handler) fromClient(conn *xmppconn.Conn, st *stanza.Stanza, receipt, parts bool) {
	c := h.sender(st)
	if c == nil {
		return
	}
	if h.tooMuch(conn, c, st) {
		return
	}
	if parts || len(st.Raw) >= asideFrom || c.aside.Load() > 0 {
		c.aside.Add(1)
		h.inParts = append(h.inParts, partStanza{conn: conn, st: h.cloned(st), client: c, receipt: receipt})
		return
	}
	if reqs, ok := h.decode(conn, st, h.elements, nil); ok && len(reqs) > 0 {
		h.requests(c, st.AttrString(st.ID), receipt, reqs)
	}
}

// parsedRequest is a request and the memory that its values lie in.
type parsedRequest struct {
	*wire.Request
	memory []byte
}

// decode reads the requests in elements of a message; not ok: it is refused. Parts
// go to whole, which returns an element when it is complete.
func (h *handler) decode(conn *xmppconn.Conn, st *stanza.Stanza, elements [][]byte, whole func([]byte) ([]byte, bool, error)) (reqs []parsedRequest, ok bool) {
	reqs, ops := make([]parsedRequest, 0, len(elements)), 0
	for _, el := range elements {
		if whole != nil && isPart(el) {
			made, done, err := whole(el)
			if err != nil {
				h.refusePart(conn, st, err)
				return nil, false
			}
			if !done {
				continue
			}
			el = made
		}
		memory := h.n.values.get()
		if h.n.faults.ValuesReused && len(reqs) > 0 {
			memory = reqs[len(reqs)-1].memory
		}
		req, memory, err := wire.ParseRequestIn(memory, el)
		if err != nil {
			h.refuse(conn, st, "bad-request", err.Error())
			return nil, false
		}
		if ops += req.Len(); ops > maxInFlight {
			h.refuse(conn, st, "policy-violation", fmt.Sprintf("%d operations in one message; the limit is %d", ops, maxInFlight))
			return nil, false
		}
		reqs = append(reqs, parsedRequest{req, memory})
	}
	return reqs, true
}

// refusePart refuses a part. Where earlier ones are missing they were refused here, or on
// the way, for there was too much: that is no mistake of the sender's.
func (h *handler) refusePart(conn *xmppconn.Conn, st *stanza.Stanza, err error) {
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		h.refuse(conn, st, "policy-violation", err.Error())
	case errors.Is(err, wire.ErrIncomplete) && !h.n.faults.GapsAreMistakes:
		h.busy(conn, st, err.Error())
	default:
		h.refuse(conn, st, "bad-request", err.Error())
	}
}

func isPart(el []byte) bool {
	p := stanza.Parse(el)
	return p.Next() == stanza.Start && string(p.Name()) == "part"
}

// tooMuch refuses a stanza of a client that has been told too little of what it asked for
// before, and tells whether it has. The stanza is not looked at.
func (h *handler) tooMuch(conn *xmppconn.Conn, c *client, st *stanza.Stanza) bool {
	if c.unsent.Load() < maxUnsent && c.inFlight.Load() < maxInFlight {
		return false
	}
	h.busy(conn, st, textBusy)
	return true
}

// maxErrors is how many bytes may wait for the server before who floods is not even told
// that it is refused.
const maxErrors = 4 << 20

// busy refuses a stanza for now: `resource-constraint` with a hint when to come again.
func (h *handler) busy(conn *xmppconn.Conn, st *stanza.Stanza, text string) {
	h.n.refusals.note(refusedFlood, bareFrom(st), "stanza", text)
	if conn != nil && conn.Queued() < maxErrors {
		_ = conn.Send(stanza.AppendErrorApp(nil, st, "", "wait", "resource-constraint", text, wire.RetryElement(retryAfter))) // lost with the stream
	}
}

// bareFrom is the account that a stanza is of, as its server has stamped it.
func bareFrom(st *stanza.Stanza) string {
	bare, _, _ := strings.Cut(st.AttrString(st.From), "/")
	return bare
}

// refuse answers a stanza with an error (RFC 6120 section 8.3). A message
// without id is nobody's question.
func (h *handler) refuse(conn *xmppconn.Conn, st *stanza.Stanza, condition, text string) {
	typ, why := "modify", refusedStanza
	switch condition {
	case "forbidden":
		typ = "auth"
		if !h.n.faults.ForbiddenAsStanza {
			why = refusedAccess
		}
	case "item-not-found", "feature-not-implemented":
		typ = "cancel"
	case "resource-constraint":
		typ = "wait"
	}
	h.n.refusals.note(why, bareFrom(st), "stanza", text)
	if conn != nil {
		_ = conn.Send(stanza.AppendError(nil, st, "", typ, condition, text)) // lost with the stream
	}
}

// fromPeer takes Raft batches, and the word that parts have arrived.
func (h *handler) fromPeer(p *peer, st *stanza.Stanza) {
	if p == nil {
		h.n.log.Debug("raft batch of no member dropped", "from", st.AttrString(st.From))
		return
	}
	for _, el := range h.elements {
		if n, ok := partsGot(el); ok {
			h.n.pacer.got(p, n)
		} else {
			h.batch(p, p.index(st.AttrString(st.From)), el)
		}
	}
}

// batch takes a Raft batch. The address, which is p's, must be the member's full JID
// and the store the one that the ring has for it: a wiped disk is not the member. It
// may be called from any goroutine.
func (h *handler) batch(p *peer, address int, el []byte) {
	if v := h.n.view.Load(); v == nil || v.self == 0 {
		return
	}
	memory := h.n.batches.get()
	from, store, batch, err := wire.ParseRaft(memory, el)
	if err != nil || from != p.id || (store != p.store && !h.n.faults.AnyStore) {
		h.n.log.Warn("raft batch dropped: its sender is not the member the ring knows", "from", p.jid, "member", from, "store", store, "err", err)
		h.n.batches.put(memory)
		return
	}
	if !p.seen[h.stream].knows(address) {
		h.peerThere(p, address)
	}
	h.n.engine.Receive(from, batch)
}
