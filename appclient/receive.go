package appclient

import (
	"bytes"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/contacts"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

const (
	nsStore    = "urn:rosterdb:store:1"
	nsHealth   = "urn:rosterdb:health:1"
	nsReceipts = "urn:xmpp:receipts" // XEP-0184
	nsDelay    = "urn:xmpp:delay"    // XEP-0203
	nsRoster   = "jabber:iq:roster"  // RFC 6121 section 2

	rosterID = "roster"
)

// stream is one of the client's two, if it has two.
type stream struct {
	conn   atomic.Pointer[xmppconn.Conn] // nil while there is none
	roster roster
	out    outgoing        // the writer goroutine's
	parts  *wire.Assembler // the reading goroutine's
}

// handler is the client's side of a stream.
type handler struct {
	*Client
	*stream
	index int
}

// handler returns that of a stream; largest is the size in bytes of the largest answer.
func (c *Client) handler(index, largest int) handler {
	s := &c.streams[index]
	s.parts = wire.NewAssembler(largest, 64)
	return handler{c, s, index}
}

var _ xmppconn.Filler = handler{}

// Up asks for the roster and then announces itself. The priority is negative:
// messages to the account in general are for somebody else (RFC 6121 section
// 4.7.2.3).
func (h handler) Up(c *xmppconn.Conn) {
	h.roster.begin(c.JID())
	h.engine.connected(h.index)
	h.conn.Store(c)
	err := c.Send([]byte(`<iq type='get' id='` + rosterID + `'><query xmlns='` + nsRoster + `'/></iq>` +
		`<presence><priority>-1</priority></presence>`))
	if err != nil {
		h.cfg.Logger.Debug("stream ended right after the login", "err", err)
	}
}

func (h handler) Down(error) {
	h.conn.Store(nil)
	h.iqs.Down()
	h.engine.disconnected(h.index)
}

// Fill is called by the stream's writer.
func (h handler) Fill(c *xmppconn.Conn, b []byte) []byte {
	if c != h.conn.Load() {
		return b
	}
	return h.engine.fill(b, &h.out, h.index)
}

// Idle sends what answers have made room for.
func (h handler) Idle(*xmppconn.Conn) {
	h.engine.heard[h.index].Store(int64(h.engine.now()))
	if h.engine.hasWork() {
		h.wake()
	}
}

func (h handler) Stanza(c *xmppconn.Conn, st *stanza.Stanza) bool {
	switch st.Kind {
	case stanza.Message:
		h.message(st)
	case stanza.Presence:
		h.presence(st)
	case stanza.IQ:
		return h.iq(c, st)
	}
	return true
}

// message takes results and receipts. One message may complete several
// requests; the receipts come after the results, so that the next request is
// made up when the callers know.
func (h handler) message(st *stanza.Stanza) {
	from := st.AttrString(st.From)
	if string(st.Get(st.Type.Value)) == "error" {
		h.engine.bounced(from, st.AttrString(st.ID), xmppconn.ParseError(st))
		return
	}
	var results []byte
	var received [4]string
	ids := received[:0]
	p := stanza.Parse(st.Raw)
	p.Next()
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		switch ns, name := string(p.NS()), string(p.Name()); {
		case ns == nsDelay:
			return // it was stored on its way: much too late
		case ns == nsReceipts && name == "received":
			if id, ok := p.Attr("id"); ok {
				ids = append(ids, string(id))
			}
			p.Skip()
		case ns == nsStore && name == "results":
			results = p.Element()
		case ns == nsStore && name == "part" && h.engine.knows(from):
			el, done, err := h.parts.Add(from, p.Element())
			if err != nil {
				h.cfg.Logger.Debug("part of an answer dropped", "from", from, "err", err)
			} else if done {
				results = el
			}
		default:
			p.Skip()
		}
	}
	if results != nil {
		h.results(from, results)
	}
	for _, id := range ids {
		h.engine.received(from, id)
	}
}

func (h handler) results(from string, el []byte) {
	r, err := wire.ParseResponse(el)
	if err != nil {
		h.cfg.Logger.Warn("results dropped", "from", from, "err", err)
		return
	}
	h.engine.answered(from, r)
}

func (h handler) iq(c *xmppconn.Conn, st *stanza.Stanza) bool {
	typ := string(st.Get(st.Type.Value))
	switch typ {
	case "result", "error":
		if st.AttrString(st.ID) == rosterID && contacts.FromOwn(st.AttrString(st.From), h.roster.full) {
			h.rosterAnswer(typ, st)
			return true
		}
		if h.iqs.Handle(st) {
			return true
		}
		from, id := st.AttrString(st.From), st.AttrString(st.ID)
		if typ == "error" {
			h.engine.bounced(from, id, xmppconn.ParseError(st))
			return true
		}
		if el := st.Get(st.Child); bytes.HasPrefix(el, []byte("<terms")) {
			h.engine.told(from, id, el)
			return true
		}
		if string(st.Get(st.ChildNS)) == nsStore {
			h.results(from, st.Get(st.Child))
		}
		h.engine.received(from, id)
		return true
	case "set":
		if string(st.Get(st.ChildNS)) == nsRoster && contacts.FromOwn(st.AttrString(st.From), h.roster.full) {
			h.rosterPush(c, st)
			return true
		}
	}
	return false
}
