package websocket

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/gobwas/ws"
	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

const (
	nsFraming  = "urn:ietf:params:xml:ns:xmpp-framing"
	lingerTime = 2 * time.Second // for the last words of a stream
	lingerRead = 1 << 20         // bytes of the peer that are discarded meanwhile
)

// conn is one stream. It is the c2s.Framing of its negotiation.
type conn struct {
	srv   *Server
	conn  net.Conn
	low   *c2s.Writer
	read  reader
	write *writer
	scan  *stanza.Scanner // of one message; nil between two
}

// newConn makes a stream of an upgraded connection; early are bytes that came behind the upgrade.
func newConn(s *Server, nc net.Conn, early []byte) (*conn, error) {
	low, err := c2s.NewWriter(nc)
	if err != nil {
		return nil, err
	}
	c := &conn{srv: s, conn: nc, low: low, write: newWriter(nc, low, &s.pieces)}
	c.read = reader{
		conn: nc, bufs: &s.bufs, max: s.cfg.Limits.MaxStanza, write: c.write, budget: s.cfg.NegotiationMax - len(early),
		ping: s.cfg.Ping, pong: s.cfg.Pong, complete: s.cfg.Complete, pings: s.metrics.pings.Inc,
	}
	c.read.keep(early)
	return c, nil
}

// Open implements c2s.Framing.
func (c *conn) Open(in *stream.Info) error {
	st, err := c.Next()
	if err != nil {
		return err
	}
	if st.Kind == stanza.StreamEnd {
		return c2s.ErrEnd
	}
	p := stanza.Parse(st.Raw)
	p.Next()
	switch {
	case string(p.Name()) != "open":
		return &router.StreamError{Condition: "bad-format", Text: "the first message must be an open element"}
	case string(p.NS()) != nsFraming:
		return &router.StreamError{Condition: "invalid-namespace", Text: "an open element is of " + nsFraming}
	}
	attr := func(name string) string {
		v, _ := p.Attr(name)
		return string(v)
	}
	return c2s.FillHeader(in, attr("to"), attr("from"), attr("version"))
}

// Next implements c2s.Framing: a message is one whole element (RFC 7395 section 3.3.3).
func (c *conn) Next() (*stanza.Stanza, error) {
	if c.scan != nil {
		c.srv.scanners.Put(c.scan) // its last element was whole: it remembers nothing
		c.scan = nil
	}
	text, err := c.read.next()
	if err != nil {
		return nil, err
	}
	c.srv.metrics.messages.Inc()
	scan, ok := c.srv.scanners.Get().(*stanza.Scanner)
	if !ok {
		scan = stanza.NewScanner(c.srv.cfg.Limits)
	}
	st, n, err := scan.Next(text)
	var bad *stanza.Error
	switch {
	case errors.As(err, &bad):
		return nil, &router.StreamError{Condition: bad.Condition, Text: bad.Text}
	case err != nil:
		return nil, err
	case st == nil:
		return nil, &router.StreamError{Condition: "not-well-formed", Text: "a message is one whole element"}
	case n != len(text) || text[0] != '<':
		return nil, &router.StreamError{Condition: "bad-format", Text: "a message is one element and nothing else"}
	case st.Kind == stanza.StreamEnd:
		return nil, &router.StreamError{Condition: "not-well-formed", Text: "a stream is closed by a close element"}
	}
	c.scan = scan
	if st.Kind == stanza.Nonza {
		p := stanza.Parse(st.Raw)
		if p.Next(); string(p.NS()) == nsFraming && string(p.Name()) == "close" {
			st.Kind = stanza.StreamEnd
		}
	}
	return st, nil
}

// Header implements c2s.Framing.
func (c *conn) Header(h *c2s.Header, elements []byte) error {
	out := stanza.AppendAttr([]byte("<open xmlns='"+nsFraming+"'"), "id", h.ID)
	out = stanza.AppendAttr(out, "from", h.From)
	if h.To != "" {
		out = stanza.AppendAttr(out, "to", h.To)
	}
	out = append(out, " version='1.0' xml:lang='en'/>"...)
	return c.Write(append(out, elements...))
}

// Write implements c2s.Framing.
func (c *conn) Write(elements []byte) error { return c.write.send(elements) }

// Transport implements c2s.Framing.
func (c *conn) Transport() (session.Transport, error) { return c.write, nil }

// SetDeadline implements c2s.Framing.
func (c *conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// serve reads stanzas until the stream ends, and cleans up behind it.
func (c *conn) serve(st *c2s.Stream) {
	c.srv.metrics.sessions.Inc()
	st.Flush() // the result of binding
	c.read.drained, c.read.budget = st.Flush, -1
	err := c.loop(st)
	c.read.release()
	_ = c.conn.SetDeadline(time.Now().Add(lingerTime))
	st.Finish(c.srv.cfg.Streams.Context(), err)
	c.srv.metrics.sessions.Dec()
	c.close(err)
	st.Leave()
}

func (c *conn) loop(st *c2s.Stream) error {
	for {
		el, err := c.Next()
		if err != nil {
			return err
		}
		size := len(el.Raw)
		if err := st.Route(c.srv.cfg.Streams.Context(), el); err != nil {
			return err
		}
		if d := st.Spend(1, size); d > 0 {
			st.Flush()
			st.Pause(c.srv.cfg.Streams.Context(), d)
		}
	}
}

// close ends the WebSocket (RFC 6455 section 7.1.2; RFC 7395 section 3.6): a Close frame, then what
// the peer still says is read, or the kernel would reset the connection and the peer could lose the
// last words.
func (c *conn) close(err error) {
	_ = c.conn.SetDeadline(time.Now().Add(lingerTime))
	code := ws.StatusNormalClosure
	var peer *closedByPeer
	var protocol ws.ProtocolError
	switch {
	case errors.As(err, &peer):
		code = 0
	case errors.As(err, &protocol), errors.Is(err, errTooLong):
		code = ws.StatusProtocolError
	case errors.Is(err, errBinary):
		code = ws.StatusUnsupportedData
	}
	if code == 0 {
		c.write.control(ws.OpClose, peer.payload)
	} else {
		c.write.control(ws.OpClose, ws.NewCloseFrameBody(code, ""))
	}
	c.low.Release()
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c.conn, lingerRead)
	_ = c.conn.Close()
}
