package websocket_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// auth lets everybody in.
type auth struct{}

func (auth) HasKeys() bool { return false }
func (auth) Keys(context.Context, string) (a, b account.Keys, exists bool, err error) {
	return a, b, false, nil
}
func (auth) Password(context.Context, string, string) (bool, error) { return true, nil }
func (auth) Exists(context.Context, string) (bool, error)           { return true, nil }

// silent is presence that concerns nobody.
type silent struct{}

func (silent) Handle(context.Context, *session.Session, *stanza.Stanza, *session.Batch) {}
func (silent) Inbound(context.Context, *module.Passage)                                 {}

// start serves WebSockets on a port of its own.
func start(t *testing.T, cfg websocket.Config) (addr string, table *session.Table) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	table = session.NewTable()
	r := router.New("example.net", table, log, router.Faults{})
	r.SetPresence(silent{})
	streams := c2s.New(c2s.Config{
		Domain: "example.net", InsecurePlaintext: true, Settings: c2s.Settings{Auth: auth{}},
		Table: table, Router: r, Ended: func(context.Context, *session.Session) {}, Log: log,
	})
	cfg.Streams, cfg.Log = streams, log
	cfg.Peer = func(*http.Request) c2s.Peer { return c2s.Peer{Addr: "127.0.0.1"} }
	cfg.Origin = func(*http.Request) bool { return true }
	s := httptest.NewServer(websocket.New(cfg))
	t.Cleanup(func() {
		if err := streams.Close(); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return s.Listener.Addr().String(), table
}

// raw is a client that makes its frames itself.
type raw struct {
	t    *testing.T
	conn net.Conn
}

func dial(t *testing.T, addr string) *raw {
	t.Helper()
	d := ws.Dialer{Protocols: []string{"xmpp"}}
	conn, br, _, err := d.Dial(t.Context(), "ws://"+addr+"/ws")
	if err != nil {
		t.Fatal(err)
	}
	if br != nil {
		t.Fatal("the server speaks first")
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &raw{t: t, conn: conn}
}

func (c *raw) frame(op ws.OpCode, fin bool, payload string) []byte {
	f := ws.NewFrame(op, fin, []byte(payload))
	b, err := ws.CompileFrame(ws.MaskFrame(f))
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *raw) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *raw) text(s string) { c.t.Helper(); c.write(c.frame(ws.OpText, true, s)) }

// next reads a frame.
func (c *raw) next() ws.Frame {
	c.t.Helper()
	h, err := ws.ReadHeader(c.conn)
	if err != nil {
		c.t.Fatal(err)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c.conn, payload); err != nil {
		c.t.Fatal(err)
	}
	return ws.Frame{Header: h, Payload: payload}
}

// want reads frames up to one with a text.
func (c *raw) want(text string) {
	c.t.Helper()
	for {
		if f := c.next(); strings.Contains(string(f.Payload), text) {
			return
		} else if f.Header.OpCode == ws.OpClose {
			c.t.Fatalf("closed, wanted %q", text)
		}
	}
}

func (c *raw) login(user string) {
	c.t.Helper()
	const open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.net' version='1.0'/>"
	c.text(open)
	c.want("<mechanism")
	c.text("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00x")) + "</auth>")
	c.want("<success")
	c.text(open)
	c.want("<bind")
	c.text("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>")
	c.want("</jid>")
}

// closed expects the end of the WebSocket with a status, after a text if there is one to expect.
func (c *raw) closed(status ws.StatusCode, text string) {
	c.t.Helper()
	for {
		f := c.next()
		switch {
		case f.Header.OpCode == ws.OpClose:
			if got := ws.StatusCode(binary.BigEndian.Uint16(f.Payload)); got != status || text != "" {
				c.t.Errorf("closed with %d; wanted %d, and %q before", got, status, text)
			}
			return
		case text != "" && strings.Contains(string(f.Payload), text):
			text = ""
		}
	}
}

// TestSilence: a peer that says nothing is pinged; it stays if it answers, and goes if it doesn't.
func TestSilence(t *testing.T) {
	addr, table := start(t, websocket.Config{Ping: 50 * time.Millisecond, Pong: 5 * time.Second})
	c := dial(t, addr)
	c.login("alice")
	for range 5 {
		if f := c.next(); f.Header.OpCode != ws.OpPing {
			t.Fatalf("frame %+v", f.Header)
		}
		c.write(c.frame(ws.OpPong, true, ""))
	}
	if table.Count() != 1 {
		t.Fatal("a peer that answers is gone")
	}
	if f := c.next(); f.Header.OpCode != ws.OpPing {
		t.Fatalf("frame %+v", f.Header)
	}
	c.closed(ws.StatusNormalClosure, "") // no answer
	awaitNobody(t, table)
}

// TestDrip: a message that never ends, a byte now and then, ends the stream.
func TestDrip(t *testing.T) {
	addr, _ := start(t, websocket.Config{Complete: 200 * time.Millisecond})
	for name, write := range map[string]func(c *raw, b []byte, i int){
		"bytes":     func(c *raw, b []byte, i int) { _, _ = c.conn.Write(b[i : i+1]) },
		"fragments": func(c *raw, _ []byte, _ int) { _, _ = c.conn.Write(c.frame(ws.OpContinuation, false, "x")) },
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			c.login("alice")
			b := c.frame(ws.OpText, true, "<message><body>"+strings.Repeat("x", 1000))
			if name == "fragments" {
				c.write(c.frame(ws.OpText, false, "<message><body>"))
			}
			done := make(chan struct{})
			stop := make(chan struct{})
			go func() {
				defer close(done)
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for i := range 500 {
					write(c, b, i)
					select {
					case <-tick.C:
					case <-stop:
						return
					}
				}
			}()
			c.closed(ws.StatusNormalClosure, "connection-timeout")
			close(stop)
			<-done
		})
	}
}

// TestProtocolErrors: RFC 6455 section 7.4.1.
func TestProtocolErrors(t *testing.T) {
	addr, _ := start(t, websocket.Config{})
	for name, b := range map[string][]byte{
		"not masked":               {0x81, 0x01, 'x'},
		"reserved bits":            {0xf1, 0x80, 0, 0, 0, 0},
		"reserved opcode":          {0x83, 0x80, 0, 0, 0, 0},
		"long control frame":       append([]byte{0x89, 0xfe, 0x00, 0x80}, make([]byte, 4+128)...),
		"fragmented control frame": {0x09, 0x80, 0, 0, 0, 0},
		"continuation of nothing":  {0x80, 0x80, 0, 0, 0, 0},
		"absurd length":            {0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			c.login("alice")
			c.write(b)
			c.closed(ws.StatusProtocolError, "")
		})
	}
}

// TestClientCloses: a Close frame is answered with its status.
func TestClientCloses(t *testing.T) {
	addr, table := start(t, websocket.Config{})
	c := dial(t, addr)
	c.login("alice")
	c.write(c.frame(ws.OpClose, true, string(ws.NewCloseFrameBody(ws.StatusGoingAway, ""))))
	c.closed(ws.StatusGoingAway, "")
	_ = c.conn.Close()
	awaitNobody(t, table)
}

// awaitNobody waits for the end of the sessions, which comes a moment behind that of their streams.
func awaitNobody(t *testing.T, table *session.Table) {
	t.Helper()
	for end := time.Now().Add(time.Minute); table.Count() > 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	if table.Count() != 0 {
		t.Error("the session is still there")
	}
}

// TestPingsDuringOutput: answers to pings come between messages, and break none.
func TestPingsDuringOutput(t *testing.T) {
	addr, _ := start(t, websocket.Config{})
	c := dial(t, addr)
	c.login("alice")
	body := strings.Repeat("0123456789abcdef", 2000)
	const n = 300
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range n { // to itself
			if _, err := c.conn.Write(append(c.frame(ws.OpText, true, "<message to='alice@example.net/r'><body>"+body+"</body></message>"), c.frame(ws.OpPing, true, "p")...)); err != nil {
				return
			}
		}
	}()
	pongs := 0
	for messages := 0; messages < n; {
		f := c.next()
		switch {
		case f.Header.OpCode == ws.OpPong && string(f.Payload) == "p":
			pongs++
		case f.Header.OpCode == ws.OpText && strings.HasSuffix(string(f.Payload), body+"</body></message>"):
			messages++
		default:
			t.Fatalf("frame %+v: %.100q", f.Header, f.Payload)
		}
	}
	<-sent
	if pongs == 0 {
		t.Error("no answer to any ping")
	}
}

// TestIdleSessionCosts: what a session costs while nothing comes.
func TestIdleSessionCosts(t *testing.T) {
	addr, _ := start(t, websocket.Config{})
	var conns []*raw
	open := func(n int) {
		for range n {
			c := dial(t, addr)
			c.login("alice" + string(rune('a'+len(conns)%26)) + string(rune('a'+len(conns)/26)))
			conns = append(conns, c)
		}
	}
	measure := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	open(100)
	before := measure()
	open(300)
	t.Logf("%d bytes an idle session, with its client in the same process", (measure()-before)/300)
}
